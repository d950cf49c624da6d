//! The access log's way from the workers to its file: batches over a bounded channel, one thread
//! that formats and writes. A log that cannot keep up loses lines, which are counted; it never
//! holds a request back.

use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::access_log::{ClockPair, Entry, append_line};
use crate::config::{AccessLog, apart};
use crate::record::collect::labels::Labels;

/// How long a line may rest on its worker.
pub(super) const REST: Duration = Duration::from_millis(200);
/// Entries that leave at once, without waiting for [`REST`].
const BATCH: usize = 512;
/// Batches under way at most: with paths at their longest about 12 MiB, and seconds of lines at
/// thousands of requests a second.
const BATCHES: usize = 16;
/// How long a worker that ends waits for room in the channel.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// The writing thread and the near end of its channel.
pub(in crate::record) struct LogWriter {
    /// Taken at the end: the thread stops when this and every worker's outbox are gone.
    batches: Mutex<Option<SyncSender<Vec<Entry>>>>,
    /// Never sent to; its closing says that the thread has written everything.
    done: Mutex<Receiver<()>>,
    dropped: Arc<AtomicU64>,
}

impl LogWriter {
    /// Opens the target and starts the thread; `None` where the configuration wants no log.
    pub(in crate::record) fn start(
        target: &AccessLog,
        names: Arc<Labels>,
    ) -> io::Result<Option<LogWriter>> {
        let out: Box<dyn Write + Send> = match target {
            AccessLog::Off => return Ok(None),
            AccessLog::Stdout => Box::new(io::stdout()),
            AccessLog::Stderr => Box::new(io::stderr()),
            AccessLog::File(path) => {
                let own = path.clone();
                // On a FIFO that nobody reads this call waits for a reader.
                let open = move || OpenOptions::new().create(true).append(true).open(own);
                Box::new(apart(path, open)?)
            }
        };
        LogWriter::start_into(out, names).map(Some)
    }

    pub(in crate::record) fn start_into(
        out: Box<dyn Write + Send>,
        names: Arc<Labels>,
    ) -> io::Result<LogWriter> {
        let (batches, incoming) = sync_channel(BATCHES);
        let (finished, done) = sync_channel(1);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        thread::Builder::new().name("access-log".into()).spawn(move || {
            write_all(&incoming, out, &names, &lost);
            drop(finished);
        })?;
        Ok(LogWriter { batches: Mutex::new(Some(batches)), done: Mutex::new(done), dropped })
    }

    /// One worker's outbox; `None` after [`LogWriter::finish`].
    pub(in crate::record) fn outbox(&self) -> Option<OutboxSetup> {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(OutboxSetup { batches, dropped: Arc::clone(&self.dropped) })
    }

    /// Lines that were lost: the channel was full, or the target refused them.
    pub(in crate::record) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until every line is written, at most `within`. Blocks; for the process's end, after
    /// the workers. Says whether all was written.
    pub(in crate::record) fn finish(&self, within: Duration) -> bool {
        drop(self.batches.lock().unwrap_or_else(PoisonError::into_inner).take());
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(done.recv_timeout(within), Err(RecvTimeoutError::Disconnected))
    }
}

/// Ends when no sender is left. A target that fails loses the batch, is named once, and is tried
/// again with the next one.
fn write_all(
    incoming: &Receiver<Vec<Entry>>,
    mut out: Box<dyn Write + Send>,
    names: &Labels,
    dropped: &AtomicU64,
) {
    let mut text = Vec::new();
    let mut complained = false;
    while let Ok(batch) = incoming.recv() {
        let clocks = ClockPair::now();
        text.clear();
        for entry in &batch {
            let whole = text.len();
            if append_line(&mut text, entry, names, clocks).is_err() {
                text.truncate(whole);
                dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        if let Err(error) = out.write_all(&text).and_then(|()| out.flush()) {
            dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
            if !mem::replace(&mut complained, true) {
                eprintln!("access log: {error}; lines are lost and counted");
            }
        }
    }
}

/// An [`Outbox`] on its way to the worker's thread.
pub(in crate::record) struct OutboxSetup {
    batches: SyncSender<Vec<Entry>>,
    dropped: Arc<AtomicU64>,
}

impl OutboxSetup {
    pub(in crate::record) fn start(self) -> Outbox {
        Outbox { entries: RefCell::default(), wake: Notify::new(), to: self }
    }
}

/// Entries of one worker that rest until a batch is worth a cross-thread wake.
pub(in crate::record) struct Outbox {
    entries: RefCell<Vec<Entry>>,
    /// Wakes the worker's own flushing task; same thread, so no wake across cores.
    wake: Notify,
    to: OutboxSetup,
}

impl Outbox {
    pub(in crate::record) fn push(&self, entry: Entry) {
        let mut entries = self.entries.borrow_mut();
        entries.push(entry);
        match entries.len() {
            1 => self.wake.notify_one(),
            BATCH => {
                let full = mem::take(&mut *entries);
                drop(entries);
                self.send(full);
            }
            _ => {}
        }
    }

    /// Returns when there is something to flush that has rested long enough.
    pub(in crate::record) async fn rested(&self) {
        self.wake.notified().await;
        tokio::time::sleep(REST).await;
    }

    /// Hands over what there is.
    pub(in crate::record) fn flush(&self) {
        let entries = self.entries.take();
        if !entries.is_empty() {
            self.send(entries);
        }
    }

    fn send(&self, batch: Vec<Entry>) {
        if let Err(TrySendError::Full(lost) | TrySendError::Disconnected(lost)) =
            self.to.batches.try_send(batch)
        {
            self.to.dropped.fetch_add(lost.len() as u64, Ordering::Relaxed);
        }
    }
}

impl Drop for Outbox {
    /// The worker has ended and serves nobody, so it may wait, a bounded time, for room.
    fn drop(&mut self) {
        let mut batch = self.entries.take();
        let deadline = Instant::now() + LAST_WAIT;
        while !batch.is_empty() {
            match self.to.batches.try_send(batch) {
                Err(TrySendError::Full(back)) if Instant::now() < deadline => {
                    batch = back;
                    thread::park_timeout(Duration::from_millis(2));
                }
                Err(TrySendError::Full(lost) | TrySendError::Disconnected(lost)) => {
                    self.to.dropped.fetch_add(lost.len() as u64, Ordering::Relaxed);
                    return;
                }
                Ok(()) => return,
            }
        }
    }
}
