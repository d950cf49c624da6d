//! A stream that is kept: its bytes, whose they are, and who reads them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use super::id::StreamId;
use super::log::{End, Log};
use crate::config::Resume;
use crate::error::Kind;
use crate::record::{KeptEnd, StreamMeters};
use crate::relay::observers::Form;

/// Who may read a stream, and stop it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The client of this name in the configuration: a new key of it is the same owner.
    Client(Arc<str>),
    /// Where nobody is known: whoever has its id.
    Anyone,
}

/// What a reader is told of the answer before its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptHead {
    /// Of the upstream's answer.
    pub status: StatusCode,
    /// As the upstream has it.
    pub content_type: Option<HeaderValue>,
    /// The same; events inside such bytes are nobody's to see.
    pub content_encoding: Option<HeaderValue>,
}

/// What a stream is made of.
#[derive(Debug, Clone)]
pub struct NewStream {
    /// Whose it is.
    pub owner: Owner,
    /// By which name its owner asks for it, beside its id.
    pub conversation: Option<Box<str>>,
    /// Of its answer.
    pub head: KeptHead,
    /// The path of its route.
    pub route: Arc<str>,
    /// For how long, and how much.
    pub keeps: Resume,
    /// Its upstream's answer is read by another process: bytes come from there.
    pub is_elsewhere: bool,
}

/// One stream. Shared by all workers.
pub struct KeptStream {
    id: StreamId,
    made: NewStream,
    log: Log,
    standing: Mutex<Standing>,
    meters: Arc<StreamMeters>,
}

#[derive(Debug)]
struct Standing {
    readers: usize,
    /// Nobody reads it.
    unread_since: Option<Instant>,
    ended_at: Option<Instant>,
    /// It goes on for its readers only: when the last one leaves, nobody can come back.
    is_draining: bool,
}

/// What is to be done with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing before then.
    Later(Instant),
    /// Its readers keep it.
    Read,
    /// Nobody has read it for too long: its upstream is to be cancelled.
    Abandon,
    /// It ended long enough ago.
    Forget,
}

impl KeptStream {
    pub(super) fn new(
        id: StreamId,
        made: NewStream,
        meters: &Arc<StreamMeters>,
        now: Instant,
    ) -> Self {
        let standing =
            Standing { readers: 0, unread_since: Some(now), ended_at: None, is_draining: false };
        let log = Log::new(made.keeps.bytes, made.head.has_events(), Arc::clone(meters));
        Self { id, made, log, standing: Mutex::new(standing), meters: Arc::clone(meters) }
    }

    /// Its name.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Its bytes. To be ended by [`KeptStream::end`], which says so to those who count.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Whose it is, and what its readers are told.
    pub fn made(&self) -> &NewStream {
        &self.made
    }

    /// How it ended; only the first call counts. Whoever reads its upstream lets go of that.
    pub fn end(&self, end: End) {
        if !self.log.finish(end) {
            return;
        }
        self.standing().ended_at = Some(Instant::now());
        if self.made.is_elsewhere {
            return; // counted there
        }
        self.meters.ended(match end {
            End::Complete => KeptEnd::Complete,
            End::Stopped => KeptEnd::Stopped,
            End::Cut(Kind::StreamAbandoned) => KeptEnd::Abandoned,
            End::Cut(_) => KeptEnd::Cut,
        });
    }

    /// Readers at this moment.
    pub fn readers(&self) -> usize {
        self.standing().readers
    }

    /// Its process drains: without a reader it ends, now or when the last one leaves.
    pub fn drain(&self) {
        let mut standing = self.standing();
        standing.is_draining = true;
        let is_unread = standing.readers == 0;
        drop(standing);
        if is_unread {
            self.end(End::Cut(Kind::Draining));
        }
    }

    pub(super) fn joined(&self) {
        let mut standing = self.standing();
        standing.readers += 1;
        standing.unread_since = None;
        self.meters.joined();
    }

    pub(super) fn left(&self) {
        let mut standing = self.standing();
        standing.readers -= 1;
        let is_unread = standing.readers == 0;
        standing.unread_since = is_unread.then(Instant::now);
        let is_over = is_unread && standing.is_draining;
        drop(standing);
        self.meters.left();
        if is_over {
            self.end(End::Cut(Kind::Draining));
        }
    }

    /// Since when it has been over and unread, where it is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let standing = self.standing();
        standing.unread_since.and(standing.ended_at)
    }

    pub(super) fn due(&self, now: Instant) -> Due {
        let (ttl, detached) = (self.made.keeps.ttl, self.made.keeps.detached);
        let standing = self.standing();
        let after = |since: Instant, span: Duration, then: Due| match since + span {
            at if at <= now => then,
            at => Due::Later(at),
        };
        match (standing.ended_at, standing.unread_since) {
            (Some(ended), _) => after(ended, ttl, Due::Forget),
            (None, Some(unread)) => after(unread, detached, Due::Abandon),
            (None, None) => Due::Read,
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeptHead {
    /// Its bytes are server-sent events that can be read.
    pub fn has_events(&self) -> bool {
        let lines =
            [(CONTENT_TYPE, &self.content_type), (CONTENT_ENCODING, &self.content_encoding)];
        let lines = lines.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        Form::of(&lines.collect()) == Form::Events
    }
}

impl fmt::Debug for KeptStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptStream").field("id", &self.id).finish_non_exhaustive()
    }
}
