//! What a process charges after it has handed the database over: a file of lines, appended to by the one and read by
//! the other. A line is one write, in JSON; it counts once its line break is there.
//!
//! The writer keeps a lock on its file. Whoever gets that lock knows that the writer has ended, however.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::cells::{Balance, Cells};
use super::folder;

/// One write: differences.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Days since 1970.
    pub(super) day: u32,
    /// By client and model.
    pub(super) usage: Vec<(String, String, Cells)>,
    pub(super) budgets: Vec<(String, Balance)>,
    /// Milliseconds by which each is full later.
    pub(super) buckets: Vec<(String, u64)>,
}

impl Entry {
    pub(super) fn is_empty(&self) -> bool {
        self.usage.is_empty() && self.budgets.is_empty() && self.buckets.is_empty()
    }
}

/// A journal that this process writes.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    /// What is whole. What follows is of a write that failed.
    length: u64,
}

impl Writer {
    /// Begins one in a folder.
    pub(super) fn create(folder: &Path, unix_ms: u64) -> io::Result<Self> {
        let path = folder::journal(folder, unix_ms);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        folder::sync(folder)?;
        Ok(Self { file, length: 0 })
    }

    /// Appends one entry, to the disk.
    pub(super) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.length += line.len() as u64;
        Ok(())
    }
}

/// A journal that another process writes, or wrote.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) path: PathBuf,
    file: File,
    /// What was read.
    pub(super) offset: u64,
}

/// What came since it was read last.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) entries: Vec<Entry>,
    /// Its writer has ended: there will be no more.
    pub(super) is_finished: bool,
}

impl Reader {
    /// Reads from an offset on.
    pub(super) fn open(path: PathBuf, offset: u64) -> io::Result<Self> {
        let file = File::open(&path)?;
        Ok(Self { path, file, offset })
    }

    /// What is whole.
    ///
    /// # Errors
    /// It cannot be read, or holds a line that is no entry ([`io::ErrorKind::InvalidData`]).
    pub(super) fn news(&mut self) -> io::Result<News> {
        // Asked first: what the writer wrote before its end is then there to be read.
        let is_finished = flock(&self.file, FlockOperation::NonBlockingLockExclusive).is_ok();
        let mut text = Vec::new();
        self.file.seek(SeekFrom::Start(self.offset))?;
        self.file.read_to_end(&mut text)?;
        // The rest is half a write, whose other half comes, or never will.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = text.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        let entries = lines.map(serde_json::from_slice).collect::<Result<_, _>>();
        let entries = entries.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.offset += whole as u64;
        Ok(News { entries, is_finished })
    }
}
