//! Where a script's steps go: one face over both versions of HTTP.

use bytes::Bytes;

use super::step::{Goaway, Head};
use crate::upstream::server::{http1, http2};
use crate::upstream::wire::Cut;

/// Why an answer could not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Gone {
    /// The peer reset the stream with this code.
    Reset(u32),
    /// The connection is gone.
    Closed,
    /// The peer sent what is not HTTP.
    Malformed(String),
}

/// One answer under way.
pub(in crate::upstream) enum Sink {
    H1(http1::Answer),
    H2(http2::Answer),
}

impl Sink {
    pub(in crate::upstream) async fn informational(&mut self, head: &Head) -> Result<(), Gone> {
        match self {
            Self::H1(answer) => answer.informational(head).await,
            Self::H2(answer) => answer.informational(head),
        }
    }

    /// `end`: there will be no body.
    pub(in crate::upstream) fn head(&mut self, head: &Head, end: bool) -> Result<(), Gone> {
        match self {
            Self::H1(answer) => {
                answer.head(head, end);
                Ok(())
            }
            Self::H2(answer) => answer.head(head, end),
        }
    }

    /// One body frame. `more`: bytes that follow at once; `end`: this was the last frame.
    pub(in crate::upstream) async fn data(
        &mut self,
        frame: Bytes,
        more: usize,
        end: bool,
    ) -> Result<(), Gone> {
        match self {
            Self::H1(answer) => answer.data(&frame, end).await,
            Self::H2(answer) => answer.data(frame, more, end).await,
        }
    }

    /// Gives the connection a turn to write, where that is not the answer's own business.
    pub(in crate::upstream) async fn breathe(&mut self) {
        if let Self::H2(_) = self {
            tokio::task::yield_now().await;
        }
    }

    /// Lets everything so far leave.
    pub(in crate::upstream) async fn flush(&mut self) -> Result<(), Gone> {
        match self {
            Self::H1(answer) => answer.flush().await,
            Self::H2(_) => Ok(()),
        }
    }

    pub(in crate::upstream) async fn empty_frames(&mut self, count: u32) {
        match self {
            Self::H1(_) => {}
            Self::H2(answer) => answer.empty_frames(count).await,
        }
    }

    pub(in crate::upstream) async fn trailers(
        &mut self,
        lines: &[(String, String)],
    ) -> Result<(), Gone> {
        match self {
            Self::H1(answer) => answer.trailers(lines).await,
            Self::H2(answer) => answer.trailers(lines),
        }
    }

    pub(in crate::upstream) async fn finish(&mut self) -> Result<(), Gone> {
        match self {
            Self::H1(answer) => answer.finish().await,
            Self::H2(answer) => answer.finish(),
        }
    }

    /// Bytes between two frames.
    pub(in crate::upstream) async fn raw(&mut self, bytes: Bytes) -> Result<(), Gone> {
        match self {
            Self::H1(answer) => answer.raw(&bytes).await,
            Self::H2(answer) => {
                answer.raw(bytes).await;
                Ok(())
            }
        }
    }

    pub(in crate::upstream) async fn cut(&mut self, how: Cut) {
        match self {
            Self::H1(answer) => answer.cut(how).await,
            Self::H2(answer) => answer.cut(how).await,
        }
    }

    pub(in crate::upstream) async fn reset(&mut self, code: u32) {
        match self {
            Self::H1(answer) => answer.cut(Cut::Rst).await,
            Self::H2(answer) => answer.reset(code).await,
        }
    }

    pub(in crate::upstream) async fn refuse(&mut self) {
        match self {
            Self::H1(answer) => answer.cut(Cut::Fin).await,
            Self::H2(answer) => answer.reset(h2::Reason::REFUSED_STREAM.into()).await,
        }
    }

    /// True if this request is over with it.
    pub(in crate::upstream) async fn goaway(&mut self, which: Goaway) -> bool {
        match self {
            Self::H1(answer) => {
                answer.close_after();
                false
            }
            Self::H2(answer) => answer.goaway(which).await,
        }
    }

    /// Completes when the peer has left. Over HTTP/1.1 only whoever reads the connection can know.
    pub(in crate::upstream) async fn gone(&mut self) -> Gone {
        match self {
            Self::H1(_) => std::future::pending().await,
            Self::H2(answer) => answer.gone().await,
        }
    }
}
