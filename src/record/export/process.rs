//! What the kernel says of this process.

use std::fs;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Usage as of now; what this platform does not tell is `None` and left out.
pub(in crate::record) struct Process {
    /// User and system time of all threads, in seconds.
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
}

impl Process {
    /// Reads files under `/proc`: some tens of microseconds, for the admin thread only.
    pub(in crate::record) fn read() -> Process {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kib = |field| number(&status, field).map(|kib| kib * 1024);
        Process {
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            resident_bytes: kib("VmRSS:"),
            virtual_bytes: kib("VmSize:"),
            threads: number(&status, "Threads:"),
            // The directory being read is itself one of them.
            open_fds: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|entries| (entries.count() as u64).saturating_sub(1)),
            max_fds: getrlimit(Resource::Nofile).current,
        }
    }
}

fn number(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opened_file_is_one_more_and_memory_is_more_than_a_page() {
        let before = Process::read();
        let files: Vec<_> = (0..50).map(|_| fs::File::open("/proc/self/status")).collect();
        let after = Process::read();
        // Other tests open and close files meanwhile, though not fifty.
        assert!(after.open_fds.unwrap() > before.open_fds.unwrap() + 10, "{} files", files.len());
        assert!(after.resident_bytes.unwrap() > 4096);
        assert!(after.virtual_bytes >= after.resident_bytes);
        assert!(after.cpu_seconds >= before.cpu_seconds && after.cpu_seconds > 0.0);
        assert!(after.max_fds.unwrap() > 10 && after.threads.unwrap() >= 1);
    }

    #[test]
    fn a_field_is_read_by_its_whole_name() {
        let status = "VmPeak:\t    9 kB\nVmRSS:\t  12 kB\nThreads:\t3\n";
        assert_eq!(number(status, "VmRSS:"), Some(12));
        assert_eq!(number(status, "Threads:"), Some(3));
        assert_eq!(number(status, "VmSize:"), None);
    }
}
