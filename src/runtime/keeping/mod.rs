//! What is kept over restarts: the store of a running process, from its opening to its last write.

mod counted;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use super::reloading::reloader::Reloader;
use crate::admin::UsagePage;
use crate::handover::HandedStore;
use crate::record::StoreMeter;
use crate::store::{Keeper, Query, Report, Source, Store, StoreError, is_same};
use counted::Counted;

/// The store, if the configuration has one.
pub struct Keeping {
    folder: Option<PathBuf>,
    source: Arc<dyn Source>,
    admin: Option<SocketAddr>,
    meter: Arc<StoreMeter>,
    keeper: OnceLock<Keeper>,
}

impl Keeping {
    /// `folder`: of the store. `admin`: where this process is asked.
    pub(super) fn new(
        folder: Option<PathBuf>,
        reloader: &Arc<Reloader>,
        admin: Option<SocketAddr>,
        meter: Arc<StoreMeter>,
    ) -> Self {
        let source = Arc::new(Counted::new(Arc::clone(reloader)));
        Self { folder, source, admin, meter, keeper: OnceLock::new() }
    }

    /// Whether the store is that of another process, by its folder.
    pub(super) fn is_in(&self, theirs: &Path) -> bool {
        self.folder.as_deref().is_some_and(|folder| is_same(folder, theirs))
    }

    /// Whether there is a store that was not opened yet.
    pub fn is_awaited(&self) -> bool {
        self.folder.is_some() && self.keeper.get().is_none()
    }

    /// This, where there is a store that was opened.
    pub fn handed(&self) -> Option<&dyn HandedStore> {
        self.keeper.get().map(|_| self as &dyn HandedStore)
    }

    /// Opens the store, gives limits what was kept of them, and begins to write. To be called before the first request
    /// is let in. Blocks.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(&self) -> Result<(), StoreError> {
        let Some(folder) = self.folder.as_deref().filter(|_| self.keeper.get().is_none()) else {
            return Ok(());
        };
        let (store, kept) = Store::open(folder)?;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.source.add(&kept, unix);
        let keeper =
            Keeper::start(store, Arc::clone(&self.source), self.admin, Arc::clone(&self.meter));
        let keeper = keeper
            .map_err(|error| StoreError::Io("start a thread for", folder.to_owned(), error))?;
        // Nobody was faster: it is opened by one thread, once.
        let _set = self.keeper.set(keeper);
        Ok(())
    }

    /// Writes once more; to be called when nothing is charged any more.
    pub(super) fn finish(&self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.finish();
        }
    }

    /// What `GET /usage` answers to this query.
    pub(super) fn usage(&self, query: &str) -> UsagePage {
        let query = match Query::parse(query, SystemTime::now()) {
            Ok(query) => query,
            Err(why) => return UsagePage::Wrong(why),
        };
        let Some(keeper) = self.keeper.get() else { return UsagePage::NotKept };
        let format = query.format;
        let report = keeper.read().and_then(|reading| Report::new(query, &reading));
        match report {
            Ok(Ok(report)) => UsagePage::Page(format.content_type(), report.text()),
            Ok(Err(too_many)) => UsagePage::Wrong(too_many.to_string()),
            Err(error) => UsagePage::Unavailable(error.to_string()),
        }
    }
}

impl HandedStore for Keeping {
    fn folder(&self) -> &Path {
        self.folder.as_deref().unwrap_or_else(|| Path::new(""))
    }

    fn release(&self) -> Result<(), String> {
        let keeper = self.keeper.get().ok_or_else(|| "there is none".to_owned())?;
        keeper.release().map_err(|error| error.to_string())
    }

    fn take_back(&self) {
        if let Some(Err(error)) = self.keeper.get().map(Keeper::take_back) {
            tracing::error!(
                "{error}; this process goes on counting in memory and in a journal, for whoever opens the store next"
            );
        }
    }
}
