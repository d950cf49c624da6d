//! The log being written by the upstream's thread and waited for by tests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use super::{ConnectionSeen, End, KEPT_BODIES, KEPT_ENTRIES, Log, RequestSeen};
use crate::upstream::clock::now_ns;
use crate::upstream::wire::Wire;

/// Where the upstream's threads write and tests read.
pub(in crate::upstream) struct Recorder {
    enabled: bool,
    /// Whatever is open from now on was not ended by its peer.
    stopping: AtomicBool,
    log: Mutex<Log>,
    changed: Condvar,
    version: watch::Sender<u64>,
}

impl Recorder {
    pub(in crate::upstream) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            stopping: AtomicBool::new(false),
            log: Mutex::default(),
            changed: Condvar::new(),
            version: watch::Sender::new(0),
        }
    }

    pub(in crate::upstream) fn enabled(&self) -> bool {
        self.enabled
    }

    pub(in crate::upstream) fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(in crate::upstream) fn snapshot(&self) -> Log {
        self.lock().clone()
    }

    pub(in crate::upstream) fn connection(&self, seen: ConnectionSeen) {
        self.change(|log| {
            if log.connections.len() < KEPT_ENTRIES {
                log.connections.push(seen);
            } else {
                log.not_recorded += 1;
            }
        });
    }

    pub(in crate::upstream) fn update_connection(
        &self,
        number: u64,
        change: impl FnOnce(&mut ConnectionSeen),
    ) {
        self.change(|log| {
            log.connections.get_mut(number as usize).map(change);
        });
    }

    pub(in crate::upstream) fn request(&self, seen: RequestSeen) {
        self.change(|log| {
            if log.requests.len() < KEPT_ENTRIES {
                log.requests.push(seen);
            } else {
                log.not_recorded += 1;
            }
        });
    }

    pub(in crate::upstream) fn update_request(
        &self,
        nth: u64,
        change: impl FnOnce(&mut RequestSeen),
    ) {
        self.change(|log| {
            log.requests.get_mut(nth as usize).map(change);
        });
    }

    /// Keeps `body` for request `nth` if there is room for it.
    pub(in crate::upstream) fn keep_body(&self, nth: u64, body: Bytes, len: u64) {
        self.change(|log| {
            let room = KEPT_BODIES.saturating_sub(log.kept_bodies);
            if let Some(request) = log.requests.get_mut(nth as usize) {
                request.body_len = len;
                let added = body.len().saturating_sub(request.body.len());
                if added <= room {
                    log.kept_bodies += added;
                    request.body = body;
                }
            }
        });
    }

    /// Blocks until `predicate` holds; false if it did not within `timeout`.
    pub(in crate::upstream) fn wait_for(
        &self,
        timeout: Duration,
        mut predicate: impl FnMut(&Log) -> bool,
    ) -> bool {
        let deadline = Instant::now() + timeout;
        let mut log = self.lock();
        while !predicate(&log) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return false;
            };
            let woken = self.changed.wait_timeout(log, left);
            log = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits without blocking the thread until `predicate` holds; false if it did not within `timeout`.
    pub(in crate::upstream) async fn seen(
        &self,
        timeout: Duration,
        mut predicate: impl FnMut(&Log) -> bool,
    ) -> bool {
        let mut version = self.version.subscribe();
        let holds = async {
            while !predicate(&self.lock()) {
                if version.changed().await.is_err() {
                    break;
                }
            }
        };
        tokio::time::timeout(timeout, holds).await.is_ok()
    }

    fn change(&self, change: impl FnOnce(&mut Log)) {
        if self.enabled {
            change(&mut self.lock());
            self.changed.notify_all();
            self.version.send_modify(|version| *version += 1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes one request's entry exactly once; dropping it unclosed means that the connection went away under it.
pub(in crate::upstream) struct Entry {
    recorder: Arc<Recorder>,
    /// Knows whether it was us who ended the connection.
    wire: Wire,
    nth: u64,
    closed: bool,
}

impl Entry {
    /// `nth` must be the next number, and nothing may be awaited between taking it and this.
    pub(in crate::upstream) fn new(
        recorder: Arc<Recorder>,
        wire: Wire,
        nth: u64,
        seen: impl FnOnce() -> RequestSeen,
    ) -> Self {
        if recorder.enabled() {
            recorder.request(seen());
        }
        Self { recorder, wire, nth, closed: false }
    }

    pub(in crate::upstream) fn update(&self, change: impl FnOnce(&mut RequestSeen)) {
        self.recorder.update_request(self.nth, change);
    }

    pub(in crate::upstream) fn keep_body(&self, body: Bytes, len: u64) {
        self.recorder.keep_body(self.nth, body, len);
    }

    pub(in crate::upstream) fn enabled(&self) -> bool {
        self.recorder.enabled()
    }

    pub(in crate::upstream) fn close(mut self, end: End) {
        self.close_with(end);
    }

    fn close_with(&mut self, end: End) {
        let ours = end == End::PeerClosed && self.wire.is_cut();
        let end = if ours { End::Scripted } else { end };
        if !std::mem::replace(&mut self.closed, true) {
            self.recorder.update_request(self.nth, |request| {
                request.end_ns = Some(now_ns());
                request.end = Some(end);
            });
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let stopping = self.recorder.stopping.load(Ordering::Relaxed);
        self.close_with(if stopping { End::Stopped } else { End::PeerClosed });
    }
}
