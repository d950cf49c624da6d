//! A control group of a test's own, with a limit on memory, for the program alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::program::program;

/// Where the kernel shows its groups, and what their limit is called.
const TREES: [(&str, &str); 2] =
    [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];

/// Removed when dropped, once nobody is in it.
pub(crate) struct Group(PathBuf);

impl Group {
    /// With so many bytes of memory; `None`, and said so, where this process may make none. Version 1
    /// where the machine has its memory controller there, version 2 otherwise.
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("firstbyte-test-{}-{nth}", std::process::id());
        for (tree, limit) in TREES {
            let group = Self(Path::new(tree).join(&name));
            // Version 2 hands controllers down only where it is told to. Fails where that is done.
            let _told = fs::write(Path::new(tree).join("cgroup.subtree_control"), "+memory");
            if fs::create_dir(&group.0).is_ok()
                && fs::write(group.0.join(limit), bytes.to_string()).is_ok()
            {
                return Some(group);
            }
        }
        eprintln!(
            "\n!! SKIPPED: no control group can be made (root?), so a limit that kills was NOT tested"
        );
        None
    }

    /// The program, which is in the group before it begins.
    pub(crate) fn command(&self, config: &Path) -> Command {
        let program = program();
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"echo $$ > "$1"/cgroup.procs && exec "$2" -c "$3""#, "sh"])
            .arg(&self.0)
            .arg(program.get_program())
            .arg(config)
            .stdin(Stdio::null());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// The most that the kernel counted, in bytes, where it tells.
    pub(crate) fn peak(&self) -> Option<u64> {
        ["memory.max_usage_in_bytes", "memory.peak"]
            .iter()
            .find_map(|name| fs::read_to_string(self.0.join(name)).ok()?.trim().parse().ok())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It stays for as long as the kernel still takes a process out of it.
        for _ in 0..200 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        eprintln!("{} is left behind", self.0.display());
    }
}
