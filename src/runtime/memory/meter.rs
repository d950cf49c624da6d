//! Where it is read how much memory counts.

use std::fs;
use std::path::{Path, PathBuf};

/// A limit beyond this is the kernel's way to say that there is none (cgroup v1 writes the largest number
/// of pages that there can be).
const NONE: u64 = 1 << 60;

/// Whose memory is looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meter {
    /// What this process has resident. The kernel's buffers of its sockets are not in it.
    Process,
    /// What the control group is charged with (the kernel's buffers included), but for file pages, which
    /// the kernel takes back before it kills.
    Group(Files),
}

/// The files of one control group.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Files {
    used: PathBuf,
    stat: PathBuf,
    /// What stands before the names in `memory.stat` that count whole subtrees.
    prefix: &'static str,
}

impl Meter {
    /// The control group that bounds this process most, and its limit in bytes; `None` without one.
    pub(super) fn of_group() -> Option<(Meter, u64)> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        tightest(&groups, Path::new("/sys/fs/cgroup"))
    }

    /// Bytes that count now; `None` where the kernel does not tell.
    pub(super) fn used(&self) -> Option<u64> {
        match self {
            Meter::Process => {
                let status = fs::read_to_string("/proc/self/status").ok()?;
                let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
                line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
            }
            Meter::Group(files) => {
                let used = number(&files.used)?;
                let stat = fs::read_to_string(&files.stat).ok()?;
                let pages = |name: &str| field(&stat, files.prefix, name).unwrap_or(0);
                Some(used.saturating_sub(pages("inactive_file") + pages("active_file")))
            }
        }
    }
}

/// Version 2 has one tree (`0::/path`), version 1 one for memory (`4:memory:/path`). Limits hold for all
/// beneath them, so each folder up to the root is asked. In a container the path may be that of the host,
/// of which only the root is there to be seen.
fn tightest(groups: &str, mount: &Path) -> Option<(Meter, u64)> {
    let mut found: Option<(Meter, u64)> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (number_of, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (root, names, prefix) = match (number_of, controllers) {
            ("0", "") => (mount.to_path_buf(), ["memory.max", "memory.current"], ""),
            _ if controllers.split(',').any(|name| name == "memory") => {
                let names = ["memory.limit_in_bytes", "memory.usage_in_bytes"];
                (mount.join("memory"), names, "total_")
            }
            _ => continue,
        };
        let [limit, used] = names;
        let mut folder = root.join(path.trim_start_matches('/'));
        loop {
            if let Some(bytes) = number(&folder.join(limit)).filter(|bytes| *bytes < NONE)
                && found.as_ref().is_none_or(|(_, least)| bytes < *least)
            {
                let (used, stat) = (folder.join(used), folder.join("memory.stat"));
                found = Some((Meter::Group(Files { used, stat, prefix }), bytes));
            }
            if folder == root || !folder.pop() {
                break;
            }
        }
    }
    found
}

/// A file that is one number; `max` is none.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn field(stat: &str, prefix: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| {
        line.strip_prefix(prefix)?.strip_prefix(name)?.strip_prefix(' ')?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of groups as the kernel shows it.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root =
                std::env::temp_dir().join(format!("fb-groups-{}-{name}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_tightest_limit_up_to_the_root_counts_without_its_file_pages() {
        let tree = Tree::new(
            "v2",
            &[
                ("memory.max", "max\n"),
                ("a/memory.max", "1000\n"),
                ("a/memory.current", "700\n"),
                ("a/memory.stat", "anon 300\nactive_file 100\ninactive_file 50\n"),
                ("a/b/memory.max", "2000\n"),
            ],
        );
        let (meter, limit) = tightest("0::/a/b\n", &tree.0).unwrap();
        assert_eq!(limit, 1000);
        assert_eq!(meter.used(), Some(550));
    }

    #[test]
    fn version_one_has_a_tree_of_its_own_and_another_way_to_say_none() {
        let files = [
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/c/memory.limit_in_bytes", "5000\n"),
            ("memory/c/memory.usage_in_bytes", "900\n"),
            ("memory/c/memory.stat", "cache 1\ninactive_file 9\ntotal_inactive_file 200\n"),
        ];
        let tree = Tree::new("v1", &files);
        let groups = "5:devices:/\n4:cpu,memory:/c\n0::/\n";
        let (meter, limit) = tightest(groups, &tree.0).unwrap();
        assert_eq!((limit, meter.used()), (5000, Some(700)));
        assert_eq!(tightest("4:memory:/\n0::/\n", &tree.0), None);
    }

    #[test]
    fn a_path_of_the_host_s_leads_to_the_root_that_can_be_seen() {
        let tree = Tree::new("host", &[("memory.max", "77"), ("memory.current", "7")]);
        let (_, limit) = tightest("0::/kubepods/pod1/c1\n", &tree.0).unwrap();
        assert_eq!(limit, 77);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(Meter::Process.used().unwrap() > 1 << 20);
    }
}
