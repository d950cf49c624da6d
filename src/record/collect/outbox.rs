//! A worker's end of an exporter's channel: finished requests leave in batches, over a bounded channel, to a
//! thread that is no worker. What does not fit is lost and counted; nothing waits while requests run.

use std::cell::RefCell;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::finished::Finished;

/// How long a request may rest on its worker.
const REST: Duration = Duration::from_millis(200);
/// Requests that leave at once, without waiting for [`REST`].
const BATCH: usize = 512;
/// How long a worker that ends waits for room in the channel.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// An [`Outbox`] on its way to the worker's thread.
pub(in crate::record) struct OutboxSetup {
    batches: SyncSender<Vec<Finished>>,
    dropped: Arc<AtomicU64>,
}

impl OutboxSetup {
    /// Batches go to `batches`; what does not fit there is lost, and counted in `dropped`.
    pub(in crate::record) fn new(
        batches: SyncSender<Vec<Finished>>,
        dropped: Arc<AtomicU64>,
    ) -> OutboxSetup {
        OutboxSetup { batches, dropped }
    }

    pub(in crate::record) fn start(self) -> Outbox {
        Outbox { requests: RefCell::default(), wake: Notify::new(), to: self }
    }
}

/// Finished requests of one worker that rest until a batch is worth a cross-thread wake.
pub(in crate::record) struct Outbox {
    requests: RefCell<Vec<Finished>>,
    /// Wakes the worker's own flushing task; same thread, so no wake across cores.
    wake: Notify,
    to: OutboxSetup,
}

impl Outbox {
    pub(in crate::record) fn push(&self, finished: Finished) {
        let mut requests = self.requests.borrow_mut();
        requests.push(finished);
        match requests.len() {
            1 => self.wake.notify_one(),
            BATCH => {
                let full = mem::take(&mut *requests);
                drop(requests);
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
        let requests = self.requests.take();
        if !requests.is_empty() {
            self.send(requests);
        }
    }

    fn send(&self, batch: Vec<Finished>) {
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
        let mut batch = self.requests.take();
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
