//! What is asked of the kernel before the first thread exists: small pages, room for descriptors;
//! and of a thread at its start: a core of its own.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Descriptors beside client connections: upstream connections, listeners, logs.
const BESIDE: u64 = 8192;

/// What is best asked before any thread is started. A refusal is not an error: what holds instead
/// shows when it is met. Returns how many descriptors the process may have.
pub(crate) fn prepare(connections: usize) -> u64 {
    // The allocator asks for huge pages, and then a connection's first kilobyte costs two
    // megabytes: tens of them at rest.
    let _kept = rustix::thread::disable_transparent_huge_pages(true);
    reserve(connections)
}

/// Raises the soft limit as far as the hard one allows and grows the process's descriptor table to
/// what `connections` may need. To be called before any thread is started: growing the table later,
/// shared by threads, waits for an RCU grace period and can hold up `accept` for tens of
/// milliseconds. A refusal is not an error: the limit that holds shows when it is met.
fn reserve(connections: usize) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let wanted = (connections as u64 * 2 + BESIDE).min(hard);
    let soft = limit.current.unwrap_or(u64::MAX);
    if soft < wanted {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        if setrlimit(Resource::Nofile, raised).is_err() {
            grow(soft);
            return soft;
        }
    }
    grow(wanted);
    soft.max(wanted)
}

/// A descriptor with a high number makes the table that large; it is closed again at once.
fn grow(most: u64) {
    let Ok(top) = i32::try_from(most.saturating_sub(1)) else { return };
    drop(rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), top));
}

/// The cores that this process may run on; none where the kernel does not tell.
pub(crate) fn cores() -> Vec<usize> {
    sched_getaffinity(None).map(|set| numbers(&set)).unwrap_or_default()
}

/// As [`cores`], of another process.
pub(crate) fn cores_of(process: u32) -> Vec<usize> {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    let set = process.and_then(|process| sched_getaffinity(Some(process)).ok());
    set.map(|set| numbers(&set)).unwrap_or_default()
}

/// Pins the calling thread to the `index`-th core of those that the process may run on, in turn
/// where there are more threads than cores. A refusal leaves it to the kernel's choice.
pub(crate) fn pin(index: usize) {
    let cores = cores();
    if let Some(core) = cores.get(index % cores.len().max(1)) {
        let mut only = CpuSet::new();
        only.set(*core);
        let _left_to_the_kernel = sched_setaffinity(None, &only);
    }
}

fn numbers(set: &CpuSet) -> Vec<usize> {
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}
