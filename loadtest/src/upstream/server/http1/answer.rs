//! An answer under HTTP/1.1: written into one buffer, which leaves when the script waits.

use bytes::{BufMut, BytesMut};
use tokio::io::AsyncWriteExt;

use super::reader::RequestHead;
use crate::upstream::script::sink::Gone;
use crate::upstream::script::step::Head;
use crate::upstream::wire::{Cut, Wire};

/// What is gathered before it is written even though the script goes on.
const GATHER: usize = 64 * 1024;

/// How the body's end will be known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// No head yet.
    None,
    Chunked,
    /// The script promised a length; keeping it is the script's business.
    Length(u64),
    UntilClose,
    /// HEAD, 204, 304: no body whatever the script says.
    Bodyless,
}

/// One answer under way.
#[expect(clippy::struct_excessive_bools, reason = "two of the request, two of the answer")]
pub(in crate::upstream) struct Answer {
    wire: Wire,
    out: BytesMut,
    framing: Framing,
    head_request: bool,
    old: bool,
    close: bool,
    ended: bool,
}

impl Answer {
    pub(super) fn new(wire: Wire, request: &RequestHead) -> Self {
        Self {
            wire,
            out: BytesMut::with_capacity(4096),
            framing: Framing::None,
            head_request: request.method == "HEAD",
            old: request.old,
            close: !request.keep_alive,
            ended: false,
        }
    }

    /// Says `connection: close` and does so after this answer.
    pub(in crate::upstream) fn close_after(&mut self) {
        self.close = true;
    }

    /// Whether the next request can follow on this connection.
    pub(super) fn reusable(&self) -> bool {
        self.ended && !self.close && !self.wire.is_cut() && self.framing != Framing::UntilClose
    }

    pub(in crate::upstream) async fn informational(&mut self, head: &Head) -> Result<(), Gone> {
        self.status_and_lines(head);
        self.out.put_slice(b"\r\n");
        self.flush().await
    }

    pub(in crate::upstream) fn head(&mut self, head: &Head, end: bool) {
        let length = head.header("content-length").and_then(|text| text.trim().parse().ok());
        self.framing = match length {
            _ if self.head_request || matches!(head.status, 204 | 304) => Framing::Bodyless,
            Some(length) => Framing::Length(length),
            None if head.until_close || self.old => Framing::UntilClose,
            None => Framing::Chunked,
        };
        self.status_and_lines(head);
        if self.framing == Framing::Chunked && head.header("transfer-encoding").is_none() {
            if end {
                self.framing = Framing::Length(0);
                self.out.put_slice(b"content-length: 0\r\n");
            } else {
                self.out.put_slice(b"transfer-encoding: chunked\r\n");
            }
        }
        self.close |= head.header("connection").is_some_and(|value| value.contains("close"));
        let closing = self.close || self.framing == Framing::UntilClose;
        if closing && head.header("connection").is_none() {
            self.out.put_slice(b"connection: close\r\n");
        }
        self.out.put_slice(b"\r\n");
        if end {
            self.end();
        }
    }

    pub(in crate::upstream) async fn data(&mut self, frame: &[u8], end: bool) -> Result<(), Gone> {
        match self.framing {
            Framing::Bodyless => {}
            Framing::Chunked if frame.is_empty() => {}
            Framing::Chunked => {
                self.out.put_slice(format!("{:x}\r\n", frame.len()).as_bytes());
                self.out.put_slice(frame);
                self.out.put_slice(b"\r\n");
            }
            Framing::Length(left) => {
                self.framing = Framing::Length(left.saturating_sub(frame.len() as u64));
                self.out.put_slice(frame);
            }
            Framing::UntilClose | Framing::None => self.out.put_slice(frame),
        }
        if end {
            self.end();
        }
        if self.out.len() >= GATHER { self.flush().await } else { Ok(()) }
    }

    pub(in crate::upstream) async fn trailers(
        &mut self,
        lines: &[(String, String)],
    ) -> Result<(), Gone> {
        if self.framing == Framing::Chunked && !self.ended {
            self.ended = true;
            self.out.put_slice(b"0\r\n");
            self.lines(lines);
            self.out.put_slice(b"\r\n");
        }
        self.finish().await
    }

    pub(in crate::upstream) async fn finish(&mut self) -> Result<(), Gone> {
        self.end();
        self.flush().await
    }

    pub(in crate::upstream) async fn raw(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        if self.framing == Framing::None {
            // Nobody but the script knows where this answer ends.
            self.framing = Framing::UntilClose;
        }
        self.out.put_slice(bytes);
        self.flush().await
    }

    pub(in crate::upstream) async fn cut(&mut self, how: Cut) {
        if how == Cut::MidFrame && self.framing == Framing::Chunked {
            self.out.put_slice(b"400\r\n");
            self.out.put_bytes(b'x', 100);
        }
        // If the peer left meanwhile there is nothing to cut.
        let _ = self.flush().await;
        self.wire.cut(how);
    }

    pub(in crate::upstream) async fn flush(&mut self) -> Result<(), Gone> {
        while !self.out.is_empty() {
            self.wire.write_buf(&mut self.out).await.map_err(|_| Gone::Closed)?;
        }
        self.wire.flush().await.map_err(|_| Gone::Closed)
    }

    fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        match self.framing {
            Framing::Chunked => self.out.put_slice(b"0\r\n\r\n"),
            // A promise that was not kept: only the end of the connection can tell.
            Framing::Length(1..) | Framing::None => self.close = true,
            Framing::Length(0) | Framing::UntilClose | Framing::Bodyless => {}
        }
    }

    fn status_and_lines(&mut self, head: &Head) {
        let reason = http::StatusCode::from_u16(head.status).ok();
        let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or("");
        self.out.put_slice(format!("HTTP/1.1 {} {reason}\r\n", head.status).as_bytes());
        self.lines(&head.headers);
    }

    fn lines(&mut self, lines: &[(String, String)]) {
        for (name, value) in lines {
            for part in [name.as_str(), ": ", value.as_str(), "\r\n"] {
                self.out.put_slice(part.as_bytes());
            }
        }
    }
}
