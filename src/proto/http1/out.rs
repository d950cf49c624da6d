//! What waits to be written to a client.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::HeaderMap;
use tokio::io::AsyncWrite;

/// A part up to this size is copied beside what surrounds it, so that several leave in one write: a copy
/// of 16 KiB, which is HTTP/2's usual frame, costs less than a system call. A larger one is handed over
/// where it lies.
const COPIED: usize = 16 * 1024;

/// Small parts that are ready together leave together, up to about this much. Bounds what a client that
/// does not read makes us hold here.
const FULL: usize = 32 * 1024;

thread_local! {
    /// The buffer that small parts are copied to, for whichever connection writes at the moment: one
    /// that waits for its upstream keeps none.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes in the order in which they leave: copied ones, then at most one large part, and what follows
/// that.
pub struct Out<P> {
    copied: Vec<u8>,
    written: usize,
    large: Option<P>,
    after: &'static [u8],
}

impl<P> Default for Out<P> {
    /// Nothing yet.
    fn default() -> Self {
        Self { copied: Vec::new(), written: 0, large: None, after: b"" }
    }
}

impl<P: Buf> Out<P> {
    /// Nothing is left to write.
    pub fn is_empty(&self) -> bool {
        self.written == self.copied.len() && self.large.is_none() && self.after.is_empty()
    }

    /// More would be held than is worth it: write first.
    pub fn is_full(&self) -> bool {
        self.large.is_some() || !self.after.is_empty() || self.copied.len() >= FULL
    }

    /// Room for a head and whatever else is written byte by byte. Not to be used while
    /// [full](Out::is_full).
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        if self.copied.capacity() == 0 {
            self.copied = SPARE.take();
        }
        &mut self.copied
    }

    /// A part of a body as it is. Not to be used while [full](Out::is_full).
    pub fn data(&mut self, part: P) {
        self.part(part, b"");
    }

    /// A part of a body as a chunk (RFC 9112, section 7.1). Not to be used while
    /// [full](Out::is_full). An empty one is left out: it would be the last.
    pub fn chunk(&mut self, part: P) {
        let length = part.remaining();
        if length > 0 {
            push_hex(length, self.bytes());
            self.bytes().extend_from_slice(b"\r\n");
            self.part(part, b"\r\n");
        }
    }

    fn part(&mut self, part: P, after: &'static [u8]) {
        if part.remaining() <= COPIED {
            let bytes = self.bytes();
            bytes.extend_from_slice(part.chunk());
            bytes.extend_from_slice(after);
        } else {
            self.large = Some(part);
            self.after = after;
        }
    }

    /// The last chunk and the trailers. Not to be used while [full](Out::is_full) if there are trailers.
    pub fn last_chunk(&mut self, trailers: Option<&HeaderMap>) {
        if self.large.is_some() {
            self.after = b"\r\n0\r\n\r\n";
            return;
        }
        let bytes = self.bytes();
        bytes.extend_from_slice(b"0\r\n");
        for (name, value) in trailers.into_iter().flatten() {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
    }

    /// Writes until nothing is left, and says so to the socket, which stamps it.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_write<S>(&mut self, socket: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncWrite + Unpin,
    {
        while !self.is_empty() {
            let copied = &self.copied[self.written..];
            let wrote = match &self.large {
                None if self.after.is_empty() => Pin::new(&mut *socket).poll_write(cx, copied),
                large => {
                    let large = large.as_ref().map_or(&b""[..], Buf::chunk);
                    let all = [copied, large, self.after].map(IoSlice::new);
                    Pin::new(&mut *socket).poll_write_vectored(cx, &all)
                }
            };
            let wrote = ready!(wrote)?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(wrote);
        }
        self.give_back();
        Pin::new(socket).poll_flush(cx)
    }

    fn advance(&mut self, wrote: usize) {
        let copied = wrote.min(self.copied.len() - self.written);
        self.written += copied;
        let mut rest = wrote - copied;
        if let Some(large) = &mut self.large {
            let part = rest.min(large.remaining());
            large.advance(part);
            rest -= part;
            if !large.has_remaining() {
                self.large = None;
            }
        }
        self.after = &self.after[rest..];
    }

    fn give_back(&mut self) {
        self.written = 0;
        if self.copied.capacity() > 0 {
            let mut spare = std::mem::take(&mut self.copied);
            spare.clear();
            SPARE.set(spare);
        }
    }
}

fn push_hex(length: usize, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.push(DIGITS[(length >> (digit * 4)) & 0xf]);
    }
}
