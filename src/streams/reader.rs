//! Reads a kept stream from an offset on, at the pace of whoever asks.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::ids::Ids;
use super::kept::KeptStream;
use super::log::{End, Found};
use crate::error::{Error, Kind};
use crate::relay::OwnSource;

/// A place in a stream. It is nobody's reader: the stream may be given up meanwhile.
#[derive(Debug)]
pub struct Tail {
    stream: Arc<KeptStream>,
    key: u64,
    offset: u64,
}

impl Tail {
    /// From an offset of the stream.
    pub fn new(stream: Arc<KeptStream>, offset: u64) -> Self {
        let key = stream.log().key();
        Self { stream, key, offset }
    }

    /// Of the next byte.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whose bytes they are.
    pub fn stream(&self) -> &Arc<KeptStream> {
        &self.stream
    }

    /// The next bytes, or why there are none. After [`Found::Lost`] or [`Found::Over`] it says the same again.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Found> {
        let found = self.stream.log().poll_find(cx, self.key, self.offset);
        if let Poll::Ready(Found::Bytes(bytes)) = &found {
            self.offset += bytes.len() as u64;
        }
        found
    }
}

/// Waits until a stream has come to an offset, or its end, or `within` is over: a mirror is a little behind its stream.
pub async fn reached(stream: &Arc<KeptStream>, offset: u64, within: Duration) {
    let Some(last) = offset.checked_sub(1) else { return };
    let mut tail = Tail::new(Arc::clone(stream), last);
    let _in_time = tokio::time::timeout(within, poll_fn(|cx| tail.poll_next(cx))).await;
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.stream.log().forget(self.key);
    }
}

/// A client's place in a stream. While one is there, the stream goes on.
#[derive(Debug)]
pub struct LogReader {
    tail: Tail,
    /// Puts ids into the events, where they are read as such.
    ids: Option<Ids>,
    /// It is of the request that began the stream.
    is_first: bool,
    /// Its end, or that it was overtaken, was told.
    is_over: bool,
}

impl LogReader {
    /// From an offset of the stream. `by_event`: events get ids; the offset is then the end of one.
    pub fn new(stream: &Arc<KeptStream>, offset: u64, by_event: bool) -> Self {
        stream.joined();
        let tail = Tail::new(Arc::clone(stream), offset);
        let ids = by_event.then(|| Ids::from(offset));
        Self { tail, ids, is_first: false, is_over: false }
    }

    /// Of the request that began the stream, from its beginning: what is added to its bytes is measured.
    pub fn first(stream: &Arc<KeptStream>) -> Self {
        let mut reader = Self::new(stream, 0, false);
        reader.is_first = true;
        reader
    }

    /// Its end, or what ended it, was told, or is known.
    pub fn is_over(&self) -> bool {
        self.is_over || self.is_end()
    }
}

impl OwnSource for LogReader {
    /// Fails with [`Kind::StreamLagged`] for a reader that was overtaken, and with [`Kind::StreamStopped`] and
    /// [`Kind::StreamCut`] where the stream ended so.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let kind = match ready!(self.tail.poll_next(cx)) {
            Found::Bytes(bytes) => {
                let bytes = match &mut self.ids {
                    Some(ids) => ids.put_into(&bytes),
                    None => bytes,
                };
                return Poll::Ready(Some(Ok(bytes)));
            }
            Found::Lost(_) => Some(Kind::StreamLagged),
            Found::Over(End::Complete) => None,
            Found::Over(End::Stopped) => Some(Kind::StreamStopped),
            Found::Over(End::Cut(_)) => Some(Kind::StreamCut),
        };
        self.is_over = true;
        Poll::Ready(kind.map(|kind| Err(kind.into())))
    }

    fn is_end(&self) -> bool {
        let extent = self.tail.stream.log().extent();
        extent.over == Some(End::Complete) && extent.end == self.tail.offset
    }

    /// Only where it is in step: what is read again was late by no fault of ours.
    fn read_at(&self) -> Option<Instant> {
        self.is_first.then(|| self.tail.stream.log().heard())
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        self.tail.stream.left();
    }
}
