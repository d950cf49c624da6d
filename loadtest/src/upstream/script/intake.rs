//! A request's body on its way in: counted, hashed, kept in part, and handed on to whoever echoes it.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::upstream::clock::now_ns;
use crate::upstream::log::recorder::Entry;
use crate::upstream::log::{HeaderLine, KEPT_BODY};
use crate::upstream::stream::hex;

/// How much of a body that is not an upload is kept while its request lasts.
pub(in crate::upstream) const BODY_LIMIT: usize = 8 * 1024 * 1024;
/// How much may wait to be echoed before reading pauses.
const ECHO_BACKLOG: usize = 256 * 1024;

/// Shared by the task that reads the body and the script that answers; both are the same task.
pub(in crate::upstream) struct Intake {
    state: RefCell<State>,
    changed: Notify,
    limit: usize,
}

struct State {
    len: u64,
    hash: Option<Sha256>,
    kept: BytesMut,
    /// What was kept, once the body has ended.
    whole: Bytes,
    digest: Option<String>,
    ended: bool,
    echo: Option<VecDeque<Bytes>>,
    backlog: usize,
}

impl Intake {
    /// Keeps up to `limit` bytes; hashes if `hash`.
    pub(in crate::upstream) fn new(limit: usize, hash: bool) -> Self {
        let state = State {
            len: 0,
            hash: hash.then(Sha256::new),
            kept: BytesMut::new(),
            whole: Bytes::new(),
            digest: None,
            ended: false,
            echo: None,
            backlog: 0,
        };
        Self { state: RefCell::new(state), changed: Notify::new(), limit }
    }

    /// From now on whatever arrives is queued for [`Intake::next_echo`], and so is what was kept so far.
    pub(in crate::upstream) fn start_echo(&self) {
        let mut state = self.state.borrow_mut();
        let kept =
            if state.ended { state.whole.clone() } else { Bytes::copy_from_slice(&state.kept) };
        state.echo = Some(VecDeque::from([kept]));
    }

    /// Takes one piece; waits while too much waits to be echoed.
    pub(in crate::upstream) async fn push(&self, piece: Bytes, entry: &Entry) {
        while self.state.borrow().backlog > ECHO_BACKLOG {
            self.changed.notified().await;
        }
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        state.len += piece.len() as u64;
        if let Some(hash) = &mut state.hash {
            hash.update(&piece);
        }
        let room = self.limit.saturating_sub(state.kept.len());
        state.kept.extend_from_slice(&piece[..piece.len().min(room)]);
        let len = state.len;
        entry.update(|request| request.body_len = len);
        if let Some(echo) = &mut state.echo {
            state.backlog += piece.len();
            echo.push_back(piece);
            self.changed.notify_waiters();
        }
    }

    /// The body ended as it should.
    pub(in crate::upstream) fn finish(&self, trailers: Vec<HeaderLine>, entry: &Entry) {
        let mut state = self.state.borrow_mut();
        state.ended = true;
        state.digest = state.hash.take().map(|hash| hex(&hash.finalize()));
        state.whole = state.kept.split().freeze();
        if entry.enabled() {
            let digest = state.digest.clone();
            entry.keep_body(logged(&state.whole), state.len);
            entry.update(|request| {
                request.body_sha256 = digest;
                request.body_end_ns = Some(now_ns());
                request.trailers = trailers;
            });
        }
        self.changed.notify_waiters();
    }

    /// The body broke off: what came is still logged.
    pub(in crate::upstream) fn fail(&self, entry: &Entry) {
        let state = self.state.borrow();
        entry.keep_body(logged(&state.kept), state.len);
    }

    /// Completes when the whole body has arrived.
    pub(in crate::upstream) async fn ended(&self) {
        while !self.state.borrow().ended {
            self.changed.notified().await;
        }
    }

    /// The next piece to echo; None after the last.
    pub(in crate::upstream) async fn next_echo(&self) -> Option<Bytes> {
        loop {
            {
                let mut state = self.state.borrow_mut();
                if let Some(piece) = state.echo.as_mut()?.pop_front() {
                    state.backlog = state.backlog.saturating_sub(piece.len());
                    self.changed.notify_waiters();
                    return Some(piece);
                }
                if state.ended {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Of a body that has ended: what was kept, the true length, the hash.
    pub(in crate::upstream) fn summary(&self) -> (Bytes, u64, Option<String>) {
        let state = self.state.borrow();
        (state.whole.clone(), state.len, state.digest.clone())
    }
}

/// A copy, so that the log does not hold on to all of it.
fn logged(all: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&all[..all.len().min(KEPT_BODY)])
}
