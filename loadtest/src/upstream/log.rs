//! What the upstream saw, in the order in which it saw it. All times are nanoseconds of CLOCK_MONOTONIC.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use super::clock::now_ns;

/// How much of a request's body the log keeps.
pub const KEPT_BODY: usize = 64 * 1024;
/// How many requests, and how many connections, the log keeps; later ones are only counted.
pub const KEPT_ENTRIES: usize = 65_536;
/// How much body the log keeps over all requests; beyond it only lengths and hashes.
pub const KEPT_BODIES: usize = 64 * 1024 * 1024;

/// Everything seen so far.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// By order of acceptance: the connection's number is its index.
    pub connections: Vec<ConnectionSeen>,
    /// By order of arrival of the head: the request's `nth` is its index.
    pub requests: Vec<RequestSeen>,
    /// Requests and connections beyond [`KEPT_ENTRIES`].
    pub not_recorded: u64,
    /// Sum of `kept` over all requests.
    kept_bodies: usize,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct ConnectionSeen {
    /// Counted from 0.
    pub number: u64,
    /// The other end.
    pub peer: SocketAddr,
    /// When it was accepted.
    pub accepted_ns: u64,
    /// When HTTP began: after the handshake under TLS. None if it failed or has not finished.
    pub ready_ns: Option<u64>,
    /// What was negotiated, such as `h2`; None in clear or when the peer offered nothing.
    pub alpn: Option<String>,
    /// HTTP/2 (true) or HTTP/1.1.
    pub http2: bool,
    /// The largest number of requests in progress at once.
    pub peak_streams: usize,
    /// RST_STREAM(REFUSED_STREAM) frames sent: by a script, or because the peer exceeded the stream limit.
    pub refused: u64,
    /// When it ended.
    pub closed_ns: Option<u64>,
    /// Why it ended.
    pub closed: Option<ConnectionEnd>,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// The peer closed it, or both agreed to.
    Closed,
    /// A script cut it.
    Scripted,
    /// TLS or HTTP failed; the peer's GOAWAY with an error is one of these.
    Failed(String),
    /// The upstream was stopped while it was open.
    Stopped,
}

/// One header line, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderLine {
    /// The name; HTTP/1.1 keeps its case.
    pub name: String,
    /// The value, without surrounding white space.
    pub value: Bytes,
}

/// One request.
#[derive(Clone, Debug)]
pub struct RequestSeen {
    /// Counted from 0 over all connections.
    pub nth: u64,
    /// The number of its connection.
    pub connection: u64,
    /// The HTTP/2 stream, 0 for HTTP/1.1.
    pub stream: u32,
    /// The method.
    pub method: String,
    /// Path and query, as sent.
    pub path: String,
    /// `:authority` of HTTP/2, or the host of an absolute target; see the headers for `Host`.
    pub authority: Option<String>,
    /// All lines; in order, with duplicates.
    pub headers: Vec<HeaderLine>,
    /// When the head had been read.
    pub head_ns: u64,
    /// Length of the body so far.
    pub body_len: u64,
    /// The first [`KEPT_BODY`] bytes of the body.
    pub body: Bytes,
    /// SHA-256 of the whole body in hexadecimal, once it has ended.
    pub body_sha256: Option<String>,
    /// When the body's end arrived.
    pub body_end_ns: Option<u64>,
    /// The trailers of the request.
    pub trailers: Vec<HeaderLine>,
    /// When our head was handed to the connection.
    pub answer_ns: Option<u64>,
    /// Body frames handed to the connection so far.
    pub frames: u64,
    /// Body bytes handed to the connection so far.
    pub bytes: u64,
    /// When it ended.
    pub end_ns: Option<u64>,
    /// How it ended; None while it lasts.
    pub end: Option<End>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Wholly answered.
    Finished,
    /// The peer reset the stream, with this HTTP/2 error code (8 is CANCEL).
    Reset {
        /// RFC 9113, section 7.
        code: u32,
    },
    /// The peer closed the connection first.
    PeerClosed,
    /// The script broke it.
    Scripted,
    /// What came was not HTTP.
    Malformed(String),
    /// The upstream was stopped first.
    Stopped,
}

impl RequestSeen {
    /// The first value of a header, by name in any case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_values(name).into_iter().next()
    }

    /// All values of a header that are text.
    pub fn header_values(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|line| line.name.eq_ignore_ascii_case(name));
        named.filter_map(|line| std::str::from_utf8(&line.value).ok()).collect()
    }

    /// Whether the peer left before the answer was complete.
    pub fn was_cancelled(&self) -> bool {
        matches!(self.end, Some(End::Reset { .. } | End::PeerClosed))
    }
}

impl Log {
    /// Connections that are open.
    pub fn open_connections(&self) -> usize {
        self.connections.iter().filter(|connection| connection.closed.is_none()).count()
    }

    /// Requests in progress.
    pub fn open_requests(&self) -> usize {
        self.requests.iter().filter(|request| request.end.is_none()).count()
    }
}

/// Where the upstream's threads write and tests read.
pub(super) struct Recorder {
    enabled: bool,
    /// Whatever is open from now on was not ended by its peer.
    stopping: AtomicBool,
    log: Mutex<Log>,
    changed: Condvar,
    version: watch::Sender<u64>,
}

impl Recorder {
    pub(super) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            stopping: AtomicBool::new(false),
            log: Mutex::default(),
            changed: Condvar::new(),
            version: watch::Sender::new(0),
        }
    }

    pub(super) fn enabled(&self) -> bool {
        self.enabled
    }

    pub(super) fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> Log {
        self.lock().clone()
    }

    pub(super) fn connection(&self, seen: ConnectionSeen) {
        self.change(|log| {
            if log.connections.len() < KEPT_ENTRIES {
                log.connections.push(seen);
            } else {
                log.not_recorded += 1;
            }
        });
    }

    pub(super) fn update_connection(&self, number: u64, change: impl FnOnce(&mut ConnectionSeen)) {
        self.change(|log| {
            log.connections.get_mut(number as usize).map(change);
        });
    }

    pub(super) fn request(&self, seen: RequestSeen) {
        self.change(|log| {
            if log.requests.len() < KEPT_ENTRIES {
                log.requests.push(seen);
            } else {
                log.not_recorded += 1;
            }
        });
    }

    pub(super) fn update_request(&self, nth: u64, change: impl FnOnce(&mut RequestSeen)) {
        self.change(|log| {
            log.requests.get_mut(nth as usize).map(change);
        });
    }

    /// Keeps `body` for request `nth` if there is room for it.
    pub(super) fn keep_body(&self, nth: u64, body: Bytes, len: u64) {
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
    pub(super) fn wait_for(
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
    pub(super) async fn seen(
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
pub(super) struct Entry {
    recorder: Arc<Recorder>,
    nth: u64,
    closed: bool,
}

impl Entry {
    pub(super) fn new(recorder: Arc<Recorder>, seen: RequestSeen) -> Self {
        let nth = seen.nth;
        if recorder.enabled() {
            recorder.request(seen);
        }
        Self { recorder, nth, closed: false }
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut RequestSeen)) {
        self.recorder.update_request(self.nth, change);
    }

    pub(super) fn keep_body(&self, body: Bytes, len: u64) {
        self.recorder.keep_body(self.nth, body, len);
    }

    pub(super) fn enabled(&self) -> bool {
        self.recorder.enabled()
    }

    pub(super) fn close(mut self, end: End) {
        self.close_with(end);
    }

    fn close_with(&mut self, end: End) {
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
