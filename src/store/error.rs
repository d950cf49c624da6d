//! What can go wrong with a store, in words.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a store cannot be used.
#[derive(Debug)]
pub enum StoreError {
    /// A file or folder cannot be read or written: what was tried, and with which.
    Io(&'static str, PathBuf, io::Error),
    /// There is no store in this folder.
    Missing(PathBuf),
    /// Another process has it.
    InUse(PathBuf),
    /// It was written in another format, by a newer version usually: which.
    Version(PathBuf, u64),
    /// It is damaged and was set aside: the file, where it is now, and what was found.
    Damaged {
        /// The database.
        file: PathBuf,
        /// Where it lies now; `None` where it could not be moved, or was not to be.
        aside: Option<PathBuf>,
        /// What was found.
        why: String,
    },
    /// One that was damaged lies aside, and there is no other.
    SetAside {
        /// Where the other is missing.
        file: PathBuf,
        /// What lies there.
        aside: PathBuf,
    },
    /// It cannot be written at the moment; the log says why.
    Unwritable,
    /// Its thread has ended: the process ends, or has handed the store over.
    Ended,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(what, path, _) => write!(f, "store: cannot {what} {}", path.display()),
            Self::Missing(folder) => write!(
                f,
                "store: there is none in {}; it is made when a proxy starts with `store` set to that folder",
                folder.display()
            ),
            Self::InUse(folder) => write!(
                f,
                "store: another process uses {}; each process needs a folder of its own, and SIGUSR2 hands one over",
                folder.display()
            ),
            Self::Version(file, version) => write!(
                f,
                "store: {} has format {version}, which this version does not read; start the version that wrote it",
                file.display()
            ),
            Self::Damaged { file, aside: Some(aside), why } => write!(
                f,
                "store: {} is damaged ({why}); it was renamed to {}. Usage and balances would begin at 0 without it. {}",
                file.display(),
                aside.display(),
                way_out(file, aside)
            ),
            Self::Damaged { file, aside: None, why } => {
                write!(f, "store: {} is damaged ({why})", file.display())
            }
            Self::SetAside { file, aside } => write!(
                f,
                "store: there is no {}, but a damaged one was set aside. {}",
                file.display(),
                way_out(file, aside)
            ),
            Self::Unwritable => {
                write!(f, "store: it cannot be written at the moment; the log says why")
            }
            Self::Ended => write!(f, "store: this process has handed it over, or ends"),
        }
    }
}

fn way_out(file: &std::path::Path, aside: &std::path::Path) -> String {
    format!(
        "Copy a backup to {}, or, to begin at 0, move {} out of the folder; then start again",
        file.display(),
        aside.display()
    )
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, _, error) => Some(error),
            _ => None,
        }
    }
}
