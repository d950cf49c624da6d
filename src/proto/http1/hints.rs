//! Early hints (103, RFC 8297) on their way to a client: what waits to be written before the answer of a request.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::HeaderMap;
use tokio::io::AsyncWrite;

use super::answer::line;

/// Bytes that wait at most for a client that does not read. Hints beyond that are left out: they are no more than
/// that.
const MOST: usize = 16 * 1024;

/// Of one connection. Nothing is kept while no hint waits.
#[derive(Debug, Default)]
pub struct Hints {
    taken: Cell<bool>,
    out: RefCell<Vec<u8>>,
    written: Cell<usize>,
}

impl Hints {
    /// A request begins, whose client takes them or does not: HTTP/1.0 knows no interim answers.
    pub fn begin(&self, taken: bool) {
        self.taken.set(taken);
    }

    /// Whether the request's client takes them now.
    pub fn are_taken(&self) -> bool {
        self.taken.get()
    }

    /// Another one, all of whose fields are for the client.
    pub fn push(&self, headers: &HeaderMap) {
        let mut out = self.out.borrow_mut();
        let before = out.len();
        out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\n");
        for (name, value) in headers {
            line(name.as_str(), value.as_bytes(), &mut out);
        }
        out.extend_from_slice(b"\r\n");
        if out.len() > MOST {
            out.truncate(before);
        }
    }

    /// Writes what can be written. To be called by whoever polls the request, after each poll; nothing else may be
    /// written between two calls.
    pub fn poll_write<S>(&self, socket: &mut S, cx: &mut Context<'_>)
    where
        S: AsyncWrite + Unpin,
    {
        let out = self.out.borrow();
        if out.is_empty() {
            return;
        }
        while self.written.get() < out.len() {
            match Pin::new(&mut *socket).poll_write(cx, &out[self.written.get()..]) {
                Poll::Ready(Ok(wrote)) if wrote > 0 => self.written.set(self.written.get() + wrote),
                // The client is gone: whoever reads from it, or writes the answer, finds that too.
                Poll::Ready(Ok(_) | Err(_)) => break,
                Poll::Pending => return,
            }
        }
        drop(out);
        self.end();
        let _pending_or_gone: Poll<io::Result<()>> = Pin::new(socket).poll_flush(cx);
    }

    /// The answer begins: what is left to write before it.
    pub fn end(&self) -> Vec<u8> {
        let mut rest = self.out.take();
        rest.drain(..self.written.take());
        rest
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::LINK;
    use tokio::io::AsyncReadExt;

    use super::*;

    const HINT: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";

    fn headers() -> HeaderMap {
        HeaderMap::from_iter([(LINK, HeaderValue::from_static("</a>"))])
    }

    fn write(hints: &Hints, socket: &mut tokio::io::DuplexStream) {
        hints.poll_write(socket, &mut Context::from_waker(std::task::Waker::noop()));
    }

    #[tokio::test]
    async fn what_did_not_leave_before_the_answer_leaves_with_it() {
        let (mut near, mut far) = tokio::io::duplex(HINT.len() + 7);
        let hints = Hints::default();
        hints.push(&headers());
        hints.push(&headers());
        write(&hints, &mut near);
        let rest = hints.end();
        assert_eq!(rest, &HINT.as_bytes()[7..]);
        let mut read = vec![0; HINT.len() + 7];
        far.read_exact(&mut read).await.unwrap();
        assert_eq!([read, rest].concat(), HINT.repeat(2).as_bytes());
        assert!(hints.end().is_empty());
    }

    #[test]
    fn no_more_than_so_much_waits_and_none_in_part() {
        let hints = Hints::default();
        for _ in 0..1000 {
            hints.push(&headers());
        }
        let waits = hints.end();
        assert!(waits.len() <= MOST && waits.len() > MOST - HINT.len());
        assert_eq!(waits.len() % HINT.len(), 0);
    }
}
