//! File descriptors: one for each connection, and thousands of connections are usual.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for which the kernel's table is grown at once.
const TABLE: u64 = 16 * 1024;

/// Raises the limit as far as the system lets this process, and grows the kernel's table before any
/// thread exists: growing it later can stall every connect for tens of milliseconds. Where either
/// fails, connections fail later with an error that says so.
pub(super) fn prepare() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { maximum } else { current };
    let highest = current.unwrap_or(TABLE).min(TABLE).saturating_sub(1);
    if let Ok(place) = i32::try_from(highest) {
        drop(rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), place));
    }
}
