//! From a folder to a store that is open, or to why not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::changes::{Elsewhere, Seen};
use super::database::{Batch, Database, Trouble};
use super::error::StoreError;
use super::folder;
use super::journal::{News, Reader};
use super::source::Kept;

/// For another process to let go of it: `firstbyte usage` reads it, or a process is about to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// An open store, which no other process has. [`Keeper::start`](super::Keeper::start) puts it to use.
pub struct Store {
    pub(super) folder: PathBuf,
    pub(super) database: Database,
    pub(super) journals: Vec<Reader>,
    pub(super) seen: Seen,
    /// As the database had them, before what lay in journals was taken in.
    pub(super) buckets: HashMap<String, u64>,
}

/// Unix time in milliseconds.
pub(super) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Store {
    /// Opens the store in a folder, which is made where it is missing, and takes in what processes before this one left
    /// in journals. Reads the whole database once, to see that it is whole. Blocks.
    ///
    /// # Errors
    /// See [`StoreError`]. A damaged database was set aside, and is not replaced: see [`StoreError::SetAside`].
    pub fn open(folder: &Path) -> Result<(Self, Kept), StoreError> {
        Self::open_at(folder, unix_ms())
    }

    pub(super) fn open_at(folder: &Path, unix_ms: u64) -> Result<(Self, Kept), StoreError> {
        folder::make(folder)?;
        let (mut database, is_new) = opened(folder, unix_ms, PATIENCE)?;
        if is_new {
            tracing::info!(folder = %folder.display(), "store: a new one; usage and balances begin at 0");
        }
        let (file, damaged) =
            (folder::database(folder), |trouble| failed(folder, trouble, unix_ms));
        if !database.check().map_err(damaged)? {
            tracing::warn!(
                file = %file.display(),
                "store: the last write was not whole; charges of its half second are lost"
            );
        }
        let loaded = database.load().map_err(damaged)?;
        let mut seen = Seen::of(&loaded);
        let mut journals = journals(folder, |name| loaded.journals.get(name).copied())?;
        let mut elsewhere = Elsewhere::default();
        for kept in news(&mut journals, &mut elsewhere, unix_ms) {
            seen.take_in(&kept, unix_ms);
        }
        let mut batch = Batch { at: unix_ms, ..seen.limits() };
        elsewhere.join(&mut batch);
        let known = |name: &String| journals.iter().any(|one| folder::name(&one.path) == *name);
        batch.finished.extend(loaded.journals.into_keys().filter(|name| !known(name)));
        // Written even where nothing is new: a disk that is full is known before the first request.
        database.write(&batch).map_err(damaged)?;
        remove(&mut journals, &elsewhere);
        let kept = seen.kept(loaded.written, unix_ms);
        let (folder, buckets) = (folder.to_owned(), loaded.buckets);
        Ok((Self { folder, database, journals, seen, buckets }, kept))
    }
}

/// The database, and whether it was made just now.
fn opened(folder: &Path, unix_ms: u64, patience: Duration) -> Result<(Database, bool), StoreError> {
    let file = folder::database(folder);
    let is_new = !file.try_exists().map_err(|error| StoreError::Io("read", file.clone(), error))?;
    if is_new {
        let aside = folder::aside(folder);
        let aside = aside.map_err(|error| StoreError::Io("read", folder.to_owned(), error))?;
        if let Some(aside) = aside {
            return Err(StoreError::SetAside { file, aside });
        }
        Database::create(&file).map_err(|trouble| failed(folder, trouble, unix_ms))?;
        let synced = folder::sync(folder);
        synced.map_err(|error| StoreError::Io("write", folder.to_owned(), error))?;
    }
    let database =
        patiently(&file, patience).map_err(|trouble| failed(folder, trouble, unix_ms))?;
    Ok((database, is_new))
}

/// Waits while another process has it.
pub(super) fn patiently(file: &Path, patience: Duration) -> Result<Database, Trouble> {
    let begun = Instant::now();
    loop {
        match Database::open(file) {
            Err(Trouble::InUse) if begun.elapsed() < patience => thread::park_timeout(LOOK), // nobody wakes it; early is no harm
            opened => return opened,
        }
    }
}

/// Why it cannot be started with. What is damaged is set aside.
fn failed(folder: &Path, trouble: Trouble, unix_ms: u64) -> StoreError {
    let file = folder::database(folder);
    match explained(folder, trouble) {
        StoreError::Damaged { file: _, aside: _, why } => {
            let aside = folder::set_aside(&file, unix_ms / 1_000);
            StoreError::Damaged { file, aside: aside.ok(), why }
        }
        other => other,
    }
}

/// The same without setting anything aside.
pub(super) fn explained(folder: &Path, trouble: Trouble) -> StoreError {
    let file = folder::database(folder);
    match trouble {
        Trouble::InUse => StoreError::InUse(folder.to_owned()),
        Trouble::Version(version) => StoreError::Version(file, version),
        Trouble::Io(error) => StoreError::Io("open or write", file, error),
        Trouble::Damaged(why) => StoreError::Damaged { file, aside: None, why },
    }
}

/// Those that lie in the folder, each from where the database has it.
pub(super) fn journals(
    folder: &Path,
    read: impl Fn(&str) -> Option<u64>,
) -> Result<Vec<Reader>, StoreError> {
    let paths = folder::journals(folder);
    let paths = paths.map_err(|error| StoreError::Io("read", folder.to_owned(), error))?;
    let open = |path: PathBuf| {
        let offset = read(&folder::name(&path)).unwrap_or_default();
        Reader::open(path.clone(), offset).map_err(|error| StoreError::Io("read", path, error))
    };
    paths.into_iter().map(open).collect()
}

/// Reads what is new in them into `elsewhere`; what of it is to be added to limits. One that is damaged is set aside:
/// what it held beyond that place is lost, and that is said.
pub(super) fn news(
    journals: &mut Vec<Reader>,
    elsewhere: &mut Elsewhere,
    unix_ms: u64,
) -> Vec<Kept> {
    let mut kept = Vec::new();
    journals.retain_mut(|journal| {
        let name = folder::name(&journal.path);
        match journal.news() {
            Ok(News { entries, is_finished }) => {
                if !entries.is_empty() {
                    elsewhere.journals.insert(name.clone(), journal.offset);
                }
                if is_finished {
                    elsewhere.finished.insert(name);
                }
                kept.extend(entries.into_iter().map(|entry| elsewhere.take(entry)));
                true
            }
            Err(error) => {
                let aside = folder::set_aside(&journal.path, unix_ms / 1_000).ok();
                let aside = aside.unwrap_or_else(|| journal.path.clone());
                tracing::error!(
                    %error,
                    file = %aside.display(),
                    "store: what a process charged after it had handed over cannot be read, and is not counted"
                );
                false
            }
        }
    });
    kept
}

/// Those that are finished, once what they held is in the database.
pub(super) fn remove(journals: &mut Vec<Reader>, written: &Elsewhere) {
    journals.retain(|journal| {
        let is_finished = written.finished.contains(&folder::name(&journal.path));
        if is_finished && let Err(error) = std::fs::remove_file(&journal.path) {
            tracing::warn!(%error, file = %journal.path.display(), "store: cannot remove a journal");
        }
        !is_finished
    });
}
