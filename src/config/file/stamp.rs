//! Whether a file is still the one that was read.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::files::apart;

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
    /// As each of them is now, within the time that a file may take; `about` stands for all of them
    /// while a file system does not answer.
    ///
    /// # Errors
    /// It does not answer.
    pub fn of_all(about: &Path, paths: Vec<PathBuf>) -> io::Result<Vec<Self>> {
        apart(about, move || Ok(paths.iter().map(|path| Self::of(path)).collect()))
    }

    /// As it is now. Blocks for as long as its file system does.
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
