//! The access log's end of the channel: one thread that formats and writes the batches that workers send. A
//! log that cannot keep up loses lines, which are counted; it never holds a request back.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::access_log::append_line;
use super::date::ClockPair;
use crate::config::{AccessLog, LogFormat, apart};
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
    wanted: Arc<Wanted>,
}

/// What the thread is to do with its next batch.
struct Wanted {
    reopen: AtomicBool,
    format: Mutex<LogFormat>,
}

/// Where lines go.
pub(in crate::record) enum Target {
    Stream(Box<dyn Write + Send>),
    /// Can be opened again by its name.
    File(PathBuf, File),
}

impl LogWriter {
    /// Opens the target and starts the thread; `None` where the configuration wants no log.
    pub(in crate::record) fn start(
        target: &AccessLog,
        format: LogFormat,
        labels: Arc<Labels>,
    ) -> io::Result<Option<LogWriter>> {
        let target = match target {
            AccessLog::Off => return Ok(None),
            AccessLog::Stdout => Target::Stream(Box::new(io::stdout())),
            AccessLog::Stderr => Target::Stream(Box::new(io::stderr())),
            AccessLog::File(path) => Target::File(path.clone(), open(path)?),
        };
        LogWriter::start_into(target, format, labels).map(Some)
    }

    pub(in crate::record) fn start_into(
        target: Target,
        format: LogFormat,
        labels: Arc<Labels>,
    ) -> io::Result<LogWriter> {
        let (batches, incoming) = sync_channel(BATCHES);
        let (finished, done) = sync_channel(1);
        let dropped = Arc::new(AtomicU64::new(0));
        let wanted = Wanted { reopen: AtomicBool::new(false), format: Mutex::new(format) };
        let wanted = Arc::new(wanted);
        let mut writing = Writing {
            target,
            labels,
            wanted: Arc::clone(&wanted),
            dropped: Arc::clone(&dropped),
            lost: None,
        };
        thread::Builder::new().name("access-log".into()).spawn(move || {
            writing.all_of(&incoming);
            drop(finished);
        })?;
        let (batches, done) = (Mutex::new(Some(batches)), Mutex::new(done));
        Ok(LogWriter { batches, done, dropped, wanted })
    }

    /// One worker's outbox; `None` after [`LogWriter::finish`].
    pub(in crate::record) fn outbox(&self) -> Option<OutboxSetup> {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(OutboxSetup::new(batches, Arc::clone(&self.dropped)))
    }

    /// Opens the file again by its name, for whoever has moved it away. The thread does that before it
    /// writes the next line, and says on stderr what became of it; this waits for nothing.
    pub(in crate::record) fn reopen(&self) {
        self.wanted.reopen.store(true, Ordering::Release);
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batches) = &*batches {
            // A batch of nothing wakes the thread. Where there is no room for it, others will.
            let _full = batches.try_send(Vec::new());
        }
    }

    /// Lines from now on look like this.
    pub(in crate::record) fn reformat(&self, format: &LogFormat) {
        format.clone_into(&mut self.wanted.format.lock().unwrap_or_else(PoisonError::into_inner));
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

/// On a FIFO that nobody reads this waits for a reader, for as long as a file may take.
fn open(path: &Path) -> io::Result<File> {
    let own = path.to_owned();
    apart(path, move || OpenOptions::new().create(true).append(true).open(own))
}

/// The thread's own.
struct Writing {
    target: Target,
    labels: Arc<Labels>,
    wanted: Arc<Wanted>,
    dropped: Arc<AtomicU64>,
    /// Lines that the target has refused since it last took some, which was said.
    lost: Option<u64>,
}

impl Writing {
    /// Ends when no sender is left.
    fn all_of(&mut self, incoming: &Receiver<Vec<Finished>>) {
        let mut text = Vec::new();
        while let Ok(batch) = incoming.recv() {
            if self.wanted.reopen.swap(false, Ordering::Acquire) {
                self.reopen();
            }
            if !batch.is_empty() {
                self.write(&batch, &mut text);
            }
        }
    }

    /// A file that cannot be opened again leaves the old one in use: its lines are somewhere.
    fn reopen(&mut self) {
        let Target::File(path, file) = &mut self.target else { return };
        let shown = path.display();
        match open(path) {
            Ok(opened) => {
                *file = opened;
                tracing::info!(file = %shown, "access log reopened");
            }
            Err(error) => tracing::error!(
                file = %shown,
                %error,
                "access log not reopened, lines still go to the old file; check the folder and its \
                 owner, then send SIGHUP again"
            ),
        }
    }

    /// A target that fails loses the batch, is named once, and is tried again with the next one.
    fn write(&mut self, batch: &[Finished], text: &mut Vec<u8>) {
        let clocks = ClockPair::now();
        text.clear();
        {
            let format = self.wanted.format.lock().unwrap_or_else(PoisonError::into_inner);
            for finished in batch {
                let whole = text.len();
                if append_line(text, finished, &self.labels, &format, clocks).is_err() {
                    text.truncate(whole);
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        let out: &mut dyn Write = match &mut self.target {
            Target::Stream(out) => out,
            Target::File(_, file) => file,
        };
        match out.write_all(text).and_then(|()| out.flush()) {
            Ok(()) => {
                if let Some(lines) = self.lost.take() {
                    tracing::info!(lines, "access log is written again; lines were lost");
                }
            }
            Err(error) => {
                let lines = batch.len() as u64;
                self.dropped.fetch_add(lines, Ordering::Relaxed);
                if self.lost.is_none() {
                    tracing::error!(
                        %error,
                        "access log cannot be written; firstbyte_access_log_dropped_total counts the \
                         lines lost"
                    );
                }
                self.lost = Some(self.lost.unwrap_or_default() + lines);
            }
        }
    }
}
