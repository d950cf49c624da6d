//! Whether workers are pinned, each to a core of its own.
//!
//! Pinning spares a worker's caches, and takes from the kernel what it does best: to run a thread elsewhere
//! when somebody else has its core. So it is worth something only where nobody else has it. A process that was
//! given some of the machine's cores (`taskset`, `CPUAffinity=`, a cpuset) is taken to have them for itself,
//! unless it has less time than they have, or another firstbyte was given one of them too.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::Pinning;
use crate::kernel;

/// What is known of the cores that this process may run on.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cores {
    /// How many it may run on, and how many there are.
    allowed: usize,
    online: usize,
    /// How many it may keep busy, by its control group.
    quota: Option<f64>,
    /// Another firstbyte may run on one of them.
    shared: bool,
}

/// Whether to pin, and says so.
pub(in crate::runtime) fn decide(pin: Pinning) -> bool {
    let cores = match pin {
        Pinning::On => return true,
        Pinning::Off => return false,
        Pinning::Auto => Cores::read(),
    };
    let why_not = cores.why_not();
    tracing::debug!(?cores, why_not, "pin: auto");
    why_not.is_none()
}

impl Cores {
    fn read() -> Self {
        let allowed = kernel::cores();
        let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self {
            allowed: allowed.len(),
            online: count(&online).unwrap_or(allowed.len()),
            quota: quota(&groups, Path::new("/sys/fs/cgroup")),
            shared: is_shared(&allowed),
        }
    }

    /// Why workers had better be left to the kernel.
    fn why_not(&self) -> Option<&'static str> {
        if self.allowed >= self.online {
            Some("the process was given no cores of its own")
        } else if self.quota.is_some_and(|quota| quota < self.allowed as f64) {
            Some("its CPU quota is smaller than its cores")
        } else if self.shared {
            Some("another firstbyte runs on its cores")
        } else {
            None
        }
    }
}

/// Of a list such as `0-3,8`.
fn count(list: &str) -> Option<usize> {
    let range = |text: &str| {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let (from, to) = (from.parse::<usize>().ok()?, to.parse::<usize>().ok()?);
        Some((to + 1).saturating_sub(from))
    };
    list.trim().split(',').map(range).sum()
}

/// The smallest of the control groups that this process is in, in cores. Version 2 has one tree (`0::/path`),
/// version 1 one for CPU time (`4:cpu,cpuacct:/path`). In a container the path may be that of the host, of which
/// only the root is there to be seen.
fn quota(groups: &str, mount: &Path) -> Option<f64> {
    let mut least: Option<f64> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (root, of): (PathBuf, fn(&Path) -> Option<f64>) = match (number, controllers) {
            ("0", "") => (mount.to_path_buf(), of_version_2),
            _ if controllers.split(',').any(|name| name == "cpu") => {
                (mount.join("cpu"), of_version_1)
            }
            _ => continue,
        };
        let folder = root.join(path.trim_start_matches('/'));
        let folders = folder.ancestors().take_while(|folder| folder.starts_with(&root));
        for cores in folders.filter_map(of) {
            least = Some(least.map_or(cores, |least| least.min(cores)));
        }
    }
    least
}

/// `200000 100000`, or `max 100000`.
fn of_version_2(folder: &Path) -> Option<f64> {
    let text = fs::read_to_string(folder.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    share(quota, period)
}

/// Two files; a quota of -1 is none.
fn of_version_1(folder: &Path) -> Option<f64> {
    let text = |name| fs::read_to_string(folder.join(name)).ok();
    share(text("cpu.cfs_quota_us")?.trim(), text("cpu.cfs_period_us")?.trim())
}

fn share(quota: &str, period: &str) -> Option<f64> {
    let (quota, period) = (quota.parse::<u64>().ok()?, period.parse::<u64>().ok()?);
    (period > 0).then(|| quota as f64 / period as f64)
}

/// Whether another process of this name may run on one of these cores. Those that handed over to this one are
/// about to end.
fn is_shared(cores: &[usize]) -> bool {
    let (Ok(name), Ok(processes)) = (fs::read_to_string("/proc/self/comm"), fs::read_dir("/proc"))
    else {
        return false;
    };
    let before = ancestors(std::process::id());
    let ids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let others = ids.filter(|id| !before.contains(id)).filter(|id: &u32| {
        fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|comm| comm == name)
    });
    others.into_iter().any(|id| kernel::cores_of(id).iter().any(|core| cores.contains(core)))
}

/// The process itself, and those that started it.
fn ancestors(of: u32) -> Vec<u32> {
    let mut all = vec![of];
    // `proc(5)`: the parent is the second field after the name, which ends with the last parenthesis.
    let parent = |id: u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    while let Some(next) = all.last().copied().and_then(parent) {
        if next <= 1 || all.contains(&next) {
            break;
        }
        all.push(next);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Cores = Cores { allowed: 2, online: 8, quota: None, shared: false };

    #[test]
    fn workers_are_pinned_only_to_cores_that_nobody_else_has() {
        assert_eq!(OWN.why_not(), None);
        assert_eq!(Cores { quota: Some(2.0), ..OWN }.why_not(), None, "as much as they have");
        for (cores, why) in [
            (Cores { allowed: 8, ..OWN }, "no cores of its own"),
            (Cores { quota: Some(1.5), ..OWN }, "quota"),
            (Cores { shared: true, ..OWN }, "another firstbyte"),
        ] {
            assert!(cores.why_not().is_some_and(|said| said.contains(why)), "{cores:?}");
        }
    }

    #[test]
    fn a_list_of_cores_is_counted() {
        assert_eq!(count("0-3,8,10-11\n"), Some(7));
        assert_eq!(count("0\n"), Some(1));
        assert_eq!(count(""), None);
    }

    /// A tree of groups as the kernel shows it.
    fn quota_in(name: &str, groups: &str, files: &[(&str, &str)]) -> Option<f64> {
        let root = std::env::temp_dir().join(format!("fb-quota-{}-{name}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let quota = quota(groups, &root);
        fs::remove_dir_all(root).unwrap();
        quota
    }

    #[test]
    fn the_smallest_quota_up_to_the_root_counts_in_either_version() {
        let two = [
            ("cpu.max", "max 100000\n"),
            ("a/cpu.max", "150000 100000\n"),
            ("a/b/cpu.max", "400000 100000\n"),
        ];
        assert_eq!(quota_in("v2", "0::/a/b\n", &two), Some(1.5));
        let none = [("cpu.max", "max 100000\n")];
        assert_eq!(quota_in("none", "0::/\n", &none), None);
        let host = [("cpu.max", "50000 100000\n")];
        assert_eq!(quota_in("host", "0::/kubepods/pod1/c1\n", &host), Some(0.5));
        let one = [
            ("cpu/cpu.cfs_quota_us", "-1\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
            ("cpu/c/cpu.cfs_quota_us", "300000\n"),
            ("cpu/c/cpu.cfs_period_us", "100000\n"),
        ];
        assert_eq!(quota_in("v1", "5:cpuset:/\n4:cpu,cpuacct:/c\n0::/\n", &one), Some(3.0));
    }

    #[test]
    fn the_processes_that_started_this_one_are_known() {
        let all = ancestors(std::process::id());
        assert_eq!(all[..2], [std::process::id(), std::os::unix::process::parent_id()]);
    }
}
