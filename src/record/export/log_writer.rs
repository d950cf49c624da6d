//! The access log's end of the channel: one thread that formats and writes the batches that workers send. A
//! log that cannot keep up loses lines, which are counted; it never holds a request back.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::access_log::{ClockPair, append_line};
use crate::config::{AccessLog, apart};
use crate::record::collect::finished::Finished;
use crate::record::collect::labels::Labels;
use crate::record::collect::outbox::OutboxSetup;

/// Batches under way at most: with paths at their longest about 12 MiB, and seconds of lines at
/// thousands of requests a second.
const BATCHES: usize = 16;

/// The writing thread and the near end of its channel.
pub(in crate::record) struct LogWriter {
    /// Taken at the end: the thread stops when this and every worker's outbox are gone.
    batches: Mutex<Option<SyncSender<Vec<Finished>>>>,
    /// Never sent to; its closing says that the thread has written everything.
    done: Mutex<Receiver<()>>,
    dropped: Arc<AtomicU64>,
}

impl LogWriter {
    /// Opens the target and starts the thread; `None` where the configuration wants no log.
    pub(in crate::record) fn start(
        target: &AccessLog,
        labels: Arc<Labels>,
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
        LogWriter::start_into(out, labels).map(Some)
    }

    pub(in crate::record) fn start_into(
        out: Box<dyn Write + Send>,
        labels: Arc<Labels>,
    ) -> io::Result<LogWriter> {
        let (batches, incoming) = sync_channel(BATCHES);
        let (finished, done) = sync_channel(1);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        thread::Builder::new().name("access-log".into()).spawn(move || {
            write_all(&incoming, out, &labels, &lost);
            drop(finished);
        })?;
        Ok(LogWriter { batches: Mutex::new(Some(batches)), done: Mutex::new(done), dropped })
    }

    /// One worker's outbox; `None` after [`LogWriter::finish`].
    pub(in crate::record) fn outbox(&self) -> Option<OutboxSetup> {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(OutboxSetup::new(batches, Arc::clone(&self.dropped)))
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
    incoming: &Receiver<Vec<Finished>>,
    mut out: Box<dyn Write + Send>,
    labels: &Labels,
    dropped: &AtomicU64,
) {
    let mut text = Vec::new();
    let mut complained = false;
    while let Ok(batch) = incoming.recv() {
        let clocks = ClockPair::now();
        text.clear();
        for finished in &batch {
            let whole = text.len();
            if append_line(&mut text, finished, labels, clocks).is_err() {
                text.truncate(whole);
                dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        if let Err(error) = out.write_all(&text).and_then(|()| out.flush()) {
            dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
            if !mem::replace(&mut complained, true) {
                eprintln!(
                    "cannot write the access log: {error}; firstbyte_access_log_dropped_total \
                     counts the lines lost"
                );
            }
        }
    }
}
