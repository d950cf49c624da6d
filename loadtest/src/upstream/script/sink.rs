//! Where a script's steps go: one face over both versions of HTTP.

use bytes::Bytes;

use super::step::{Goaway, Head};
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
pub(in crate::upstream) trait Sink {
    async fn informational(&mut self, head: &Head) -> Result<(), Gone>;

    /// `end`: there will be no body.
    fn head(&mut self, head: &Head, end: bool) -> Result<(), Gone>;

    /// One body frame. `more`: bytes that follow at once; `end`: this was the last frame.
    async fn data(&mut self, frame: Bytes, more: usize, end: bool) -> Result<(), Gone>;

    /// Gives the connection a turn to write, where that is not the answer's own business.
    async fn breathe(&mut self);

    /// Lets everything so far leave.
    async fn flush(&mut self) -> Result<(), Gone>;

    async fn empty_frames(&mut self, count: u32);

    async fn trailers(&mut self, lines: &[(String, String)]) -> Result<(), Gone>;

    async fn finish(&mut self) -> Result<(), Gone>;

    /// Bytes between two frames.
    async fn raw(&mut self, bytes: Bytes) -> Result<(), Gone>;

    /// Those bytes may be the answer's head.
    fn has_raw_heads(&self) -> bool;

    async fn cut(&mut self, how: Cut);

    async fn reset(&mut self, code: u32);

    async fn refuse(&mut self);

    /// True if this request is over with it.
    async fn goaway(&mut self, which: Goaway) -> bool;

    /// Completes when the peer has left. Over HTTP/1.1 only whoever reads the connection can know.
    async fn gone(&mut self) -> Gone;
}
