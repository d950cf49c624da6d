//! Whether a file is still the one that was read.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What tells a file from what it was; `None` where there is none. Links are followed: a Kubernetes
/// `ConfigMap` changes by a link that is moved to another folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(Option<Identity>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// As it is now.
    pub fn of(path: &Path) -> Self {
        let identity = std::fs::metadata(path).ok().map(|of| Identity {
            device: of.dev(),
            inode: of.ino(),
            size: of.size(),
            modified: (of.mtime(), of.mtime_nsec()),
        });
        Self(identity)
    }
}
