//! Where an answer's bytes come from: an upstream, or what we hold.

use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;

use crate::error::Error;
use crate::upstream::{Broken, Chunk, RecvBody};

/// An answer's bytes, to come.
pub enum Source {
    /// As an upstream sends them.
    Upstream(RecvBody),
    /// Of our own, as there are more.
    Ours(Box<dyn OwnSource>),
}

/// Bytes of our own that come over time: a stream that is kept, events that are published. Dropped, its reader is
/// gone.
pub trait OwnSource {
    /// The next bytes, never none of them; `None` is the clean end. After an error, which the client sees as a cut,
    /// it is not asked again.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>>;

    /// All was given. Known before [`OwnSource::poll_next`] says so, where it can be.
    fn is_end(&self) -> bool {
        false
    }

    /// It goes on for as long as its client likes: who leaves has had all that it wanted.
    fn is_endless(&self) -> bool {
        false
    }

    /// When what was given last had come, for what we added to it; `None` where nothing is to be said of that.
    fn read_at(&self) -> Option<Instant>;
}

impl From<RecvBody> for Source {
    fn from(body: RecvBody) -> Self {
        Self::Upstream(body)
    }
}

impl Source {
    /// Everything was read.
    pub(super) fn is_end(&self) -> bool {
        match self {
            Self::Upstream(body) => body.is_end(),
            Self::Ours(ours) => ours.is_end(),
        }
    }

    /// See [`OwnSource::is_endless`].
    pub(super) fn is_endless(&self) -> bool {
        match self {
            Self::Upstream(_) => false,
            Self::Ours(ours) => ours.is_endless(),
        }
    }

    /// When the bytes read last had come.
    pub(super) fn read_at(&self) -> Instant {
        match self {
            Self::Upstream(body) => body.read_at(),
            Self::Ours(ours) => ours.read_at().unwrap_or_else(Instant::now),
        }
    }

    /// What was read is late by what we add to it: that is to be measured.
    pub(super) fn is_timed(&self) -> bool {
        match self {
            Self::Upstream(_) => true,
            Self::Ours(ours) => ours.read_at().is_some(),
        }
    }

    /// An upstream's frames are its own, and counted as such.
    pub(super) fn is_upstream(&self) -> bool {
        matches!(self, Self::Upstream(_))
    }

    /// See [`RecvBody::poll_chunk`].
    pub(super) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Chunk, Broken>>> {
        match self {
            Self::Upstream(body) => body.poll_chunk(cx),
            Self::Ours(ours) => Poll::Ready(ready!(ours.poll_next(cx)).map(|next| match next {
                Ok(bytes) => Ok(Chunk::Data(bytes)),
                Err(error) => Err(Broken::Told(Box::new(error))),
            })),
        }
    }

    /// The client's side has taken so much.
    pub(super) fn release(&mut self, bytes: usize) {
        if let Self::Upstream(body) = self {
            body.release(bytes);
        }
    }

    /// See [`RecvBody::is_news`].
    pub(super) fn is_news(&self, broken: &Broken) -> bool {
        match self {
            Self::Upstream(body) => body.is_news(broken),
            Self::Ours(_) => false,
        }
    }

    /// The error of an answer that broke off.
    pub(super) fn cut(&self, broken: Broken) -> Error {
        match self {
            Self::Upstream(body) => body.cut(broken),
            Self::Ours(_) => broken.into_cut(),
        }
    }
}
