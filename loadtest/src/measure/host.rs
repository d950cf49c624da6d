//! The machine and this process's share of it, as the kernel accounts for them.

use std::fs;

use serde::Serialize;

/// A thread's time, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadTime {
    /// On a processor.
    pub running: u64,
    /// Ready to run, but without a processor; 0 where the kernel does not tell.
    pub waiting: u64,
}

impl ThreadTime {
    /// What has passed since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            running: self.running.saturating_sub(earlier.running),
            waiting: self.waiting.saturating_sub(earlier.waiting),
        }
    }

    /// Both added up.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { running: self.running + other.running, waiting: self.waiting + other.waiting }
    }
}

/// The calling thread's time so far, from the scheduler's own account.
pub fn thread_time() -> ThreadTime {
    match fs::read_to_string("/proc/thread-self/schedstat") {
        Ok(text) => schedstat(&text),
        Err(_) => ThreadTime { running: thread_clock(), waiting: 0 },
    }
}

/// All threads of process `pid` together; `None` if there is no such process or no such account.
pub fn process_time(pid: u32) -> Option<ThreadTime> {
    let mut sum = None;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let path = task.ok()?.path().join("schedstat");
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(path) else { continue };
        sum = Some(sum.unwrap_or(ThreadTime::default()).plus(schedstat(&text)));
    }
    sum
}

/// The proportional set size of process `pid` in bytes.
pub fn process_memory(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

fn schedstat(text: &str) -> ThreadTime {
    let mut numbers = text.split_ascii_whitespace().map(|word| word.parse().unwrap_or(0));
    ThreadTime { running: numbers.next().unwrap_or(0), waiting: numbers.next().unwrap_or(0) }
}

fn thread_clock() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Where a run was taken.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Machine {
    /// The processor's name, or `unknown`.
    pub processor: String,
    /// Processors online.
    pub processors: usize,
    /// Processors this process may run on: the placement.
    pub allowed: usize,
    /// Operating system, kernel release and architecture.
    pub system: String,
}

/// This machine.
pub fn machine() -> Machine {
    let name = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Machine {
        processor: model.map_or("unknown", |(_, name)| name).to_owned(),
        processors: cpuinfo.lines().filter(|line| line.starts_with("processor")).count().max(1),
        allowed: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        system: [name.sysname(), name.release(), name.machine()].map(text).join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_shows_in_the_threads_account() {
        let before = thread_time();
        let mut sum = 0_u64;
        while thread_time().since(before).running < 2_000_000 {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(process_time(std::process::id()).is_none_or(|time| time.running >= 2_000_000));
        assert!(process_time(u32::MAX).is_none());
    }
}
