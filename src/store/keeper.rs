//! The thread that keeps: reads the counters twice a second, and writes what changed.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::changes::{Elsewhere, Seen};
use super::database::{Database, Reading, Trouble};
use super::error::StoreError;
use super::folder;
use super::journal::{Reader, Writer};
use super::opening::{Store, explained, news, patiently, remove, unix_ms};
use super::source::Source;
use crate::record::StoreMeter;

/// From one write to the next. A process that is killed loses what was charged since the last one, and a write takes
/// its time too: together less than a second.
const BETWEEN: Duration = Duration::from_millis(500);
/// From a write that failed to the next try: each is a line in the log.
const AGAIN: Duration = Duration::from_secs(5);
/// Orders that wait; who gives one waits for its answer.
const ORDERS: usize = 8;
/// For what is written last: a disk that hangs holds up no end for longer.
const LAST: Duration = Duration::from_secs(10);

/// The thread, as others see it. Dropped, it writes once more and ends.
pub struct Keeper {
    orders: SyncSender<Order>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

type Done<T> = SyncSender<Result<T, StoreError>>;

enum Order {
    Read(Done<Reading>),
    Release(Done<()>),
    TakeBack(Done<()>),
    Finish(Done<()>),
}

impl Keeper {
    /// Begins to keep what `source` counts. `admin`: where this process can be asked. `meter`:
    /// is told whether writes succeed.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub fn start(
        store: Store,
        source: Arc<dyn Source>,
        admin: Option<SocketAddr>,
        meter: Arc<StoreMeter>,
    ) -> std::io::Result<Self> {
        let (orders, taken) = mpsc::sync_channel(ORDERS);
        meter.wrote();
        let Store { folder, database, journals, seen, buckets: _ } = store;
        if let Err(error) = folder::tell_admin(&folder, admin) {
            tracing::warn!(%error, "store: `firstbyte usage` will not find this process");
        }
        let keeping = Keeping {
            folder: folder.into(),
            source,
            admin,
            seen,
            elsewhere: Elsewhere::default(),
            journals,
            place: Place::Database(database),
            meter,
        };
        let thread = thread::Builder::new().name("store".into());
        let thread = thread.spawn(move || keeping.serve(&taken))?;
        Ok(Self { orders, thread: Mutex::new(Some(thread)) })
    }

    /// What was used up to now. Blocks while it is written.
    ///
    /// # Errors
    /// The store cannot be written, or was handed over.
    pub fn read(&self) -> Result<Reading, StoreError> {
        self.order(Order::Read)
    }

    /// Writes all, and lets go of the database for another process. What is charged from then on goes to a journal.
    ///
    /// # Errors
    /// It cannot be written; then it was not let go.
    pub fn release(&self) -> Result<(), StoreError> {
        self.order(Order::Release)
    }

    /// The other process has ended: takes the database again, with all that was charged since.
    ///
    /// # Errors
    /// It cannot be opened. What is charged goes on to the journal, for whoever opens it next.
    pub fn take_back(&self) -> Result<(), StoreError> {
        self.order(Order::TakeBack)
    }

    /// Writes once more and ends; to be called when nothing is charged any more.
    pub fn finish(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        let (done, finished) = mpsc::sync_channel(1);
        // Sent to nobody it comes back, and is dropped: that is seen below.
        drop(self.orders.send(Order::Finish(done)));
        match finished.recv_timeout(LAST) {
            Ok(Ok(())) => {
                let _panicked = thread.join();
            }
            Ok(Err(error)) => tracing::error!("the last charges are lost: {error}"),
            Err(RecvTimeoutError::Timeout) => {
                tracing::error!("store: the disk does not answer; the last charges may be lost");
            }
            // It panicked, which is in the log.
            Err(RecvTimeoutError::Disconnected) => {}
        }
    }

    fn order<T>(&self, order: impl FnOnce(Done<T>) -> Order) -> Result<T, StoreError> {
        let (done, answer) = mpsc::sync_channel(1);
        self.orders.send(order(done)).map_err(|_| StoreError::Ended)?;
        answer.recv().map_err(|_| StoreError::Ended)?
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Where charges go.
enum Place {
    Database(Database),
    /// A write failed; the next one opens it anew.
    Closed {
        again: Instant,
    },
    /// Another process has the database.
    Journal(Writer),
}

/// The thread's own.
struct Keeping {
    folder: Box<Path>,
    source: Arc<dyn Source>,
    admin: Option<SocketAddr>,
    seen: Seen,
    /// What is to be written of what others charged.
    elsewhere: Elsewhere,
    journals: Vec<Reader>,
    place: Place,
    meter: Arc<StoreMeter>,
}

impl Keeping {
    fn serve(mut self, orders: &Receiver<Order>) {
        let mut next = Instant::now() + BETWEEN;
        loop {
            match orders.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => {
                    let _said = self.write();
                    next = Instant::now() + BETWEEN;
                }
                Ok(Order::Read(done)) => drop(done.send(self.read())),
                Ok(Order::Release(done)) => drop(done.send(self.release())),
                Ok(Order::TakeBack(done)) => drop(done.send(self.take_back())),
                Ok(Order::Finish(done)) => {
                    let written = self.write_now();
                    self.close();
                    drop(done.send(written));
                    return;
                }
                // Whoever drops the other end has finished it before.
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The same as [`Keeping::write`], whenever the last try was.
    fn write_now(&mut self) -> Result<(), StoreError> {
        if let Place::Closed { again } = &mut self.place {
            *again = Instant::now();
        }
        self.write()
    }

    /// Writes what is new. What could not be written is tried again, with what came meanwhile.
    fn write(&mut self) -> Result<(), StoreError> {
        let now = unix_ms();
        if let Place::Journal(writer) = &mut self.place {
            let changes = self.seen.changes(&*self.source, &self.elsewhere.budgets, now);
            let entry = changes.entry();
            if !entry.is_empty()
                && let Err(error) = writer.append(&entry)
            {
                self.meter.failed();
                tracing::error!(%error, "store: the journal cannot be written; it will be tried again");
                return Err(StoreError::Unwritable);
            }
            self.seen.accept(changes);
            self.meter.wrote();
            return Ok(());
        }
        for kept in news(&mut self.journals, &mut self.elsewhere, now) {
            self.source.add(&kept, now / 1_000);
        }
        let changes = self.seen.changes(&*self.source, &self.elsewhere.budgets, now);
        let mut batch = changes.batch();
        self.elsewhere.join(&mut batch);
        if batch.is_empty() {
            self.meter.wrote();
            return Ok(());
        }
        let written = self.database().and_then(|database| database.write(&batch));
        match written {
            Ok(()) => {
                self.seen.accept(changes);
                remove(&mut self.journals, &self.elsewhere);
                self.elsewhere = Elsewhere::default();
                self.meter.wrote();
                Ok(())
            }
            Err(trouble) => {
                self.meter.failed();
                self.failed(trouble);
                Err(StoreError::Unwritable)
            }
        }
    }

    /// The database, opened anew where a write failed some time ago.
    fn database(&mut self) -> Result<&Database, Trouble> {
        if let Place::Closed { again } = self.place {
            if Instant::now() < again {
                return Err(Trouble::InUse);
            }
            let database = patiently(&folder::database(&self.folder), Duration::ZERO)?;
            tracing::info!(folder = %self.folder.display(), "store: open again");
            self.place = Place::Database(database);
        }
        match &self.place {
            Place::Database(database) => Ok(database),
            Place::Closed { .. } | Place::Journal(_) => Err(Trouble::InUse),
        }
    }

    /// A database whose write failed takes no other: it is closed, and opened anew in some time.
    fn failed(&mut self, trouble: Trouble) {
        if let Place::Closed { again } = self.place
            && Instant::now() < again
        {
            return; // said when it was tried
        }
        let why = match explained(&self.folder, trouble) {
            StoreError::Io(what, file, error) => {
                format!("cannot {what} {}: {error}", file.display())
            }
            other => other.to_string(),
        };
        tracing::error!(
            "store: {why}; this process goes on counting in memory, and tries to write again every {} s",
            AGAIN.as_secs()
        );
        self.close();
        self.place = Place::Closed { again: Instant::now() + AGAIN };
    }

    fn close(&mut self) {
        let closed = Place::Closed { again: Instant::now() };
        if let Place::Database(database) = std::mem::replace(&mut self.place, closed) {
            database.close();
        }
    }

    fn read(&mut self) -> Result<Reading, StoreError> {
        if matches!(self.place, Place::Journal(_)) {
            return Err(StoreError::Ended);
        }
        self.write_now()?;
        let reading = self.database().and_then(Database::read);
        reading.map_err(|trouble| explained(&self.folder, trouble))
    }

    fn release(&mut self) -> Result<(), StoreError> {
        self.write_now()?;
        if matches!(self.place, Place::Journal(_)) {
            return Ok(()); // it was, and could not be taken back
        }
        let writer = Writer::create(&self.folder, unix_ms());
        let writer = writer.map_err(|error| {
            StoreError::Io("write a journal in", self.folder.to_path_buf(), error)
        })?;
        self.close();
        self.journals.clear(); // the other one reads them on
        self.place = Place::Journal(writer);
        Ok(())
    }

    /// What the journal holds is taken in as that of any other process: but the counters have it already. What they do not
    /// have is what the other process charged.
    fn take_back(&mut self) -> Result<(), StoreError> {
        if !matches!(self.place, Place::Journal(_)) {
            return Ok(());
        }
        self.write()?;
        // The journal's lock is what says that it is finished.
        let Place::Journal(writer) =
            std::mem::replace(&mut self.place, Place::Closed { again: Instant::now() })
        else {
            return Ok(());
        };
        drop(writer);
        match Store::open(&self.folder) {
            Ok((Store { folder: _, database, journals, seen, buckets }, _)) => {
                (self.place, self.journals) = (Place::Database(database), journals);
                let now = unix_ms();
                self.source.add(&self.seen.others(&seen, &buckets, now), now / 1_000);
                self.seen.forget_limits();
                let _said = folder::tell_admin(&self.folder, self.admin);
                Ok(())
            }
            Err(error) => {
                let writer = Writer::create(&self.folder, unix_ms());
                if let Ok(writer) = writer {
                    self.place = Place::Journal(writer);
                }
                Err(error)
            }
        }
    }
}
