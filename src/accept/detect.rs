//! Which HTTP a client speaks: HTTP/2 with prior knowledge begins with a preface that no HTTP/1.1
//! request can begin with (RFC 9113, section 3.4).

use std::io;

use tokio::io::AsyncRead;

use crate::proto::http2::PREFACE;
use crate::transport::ReadAhead;

/// What arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What `bytes` are the beginning of, as soon as they say.
fn recognise(bytes: &[u8]) -> Option<Protocol> {
    if bytes.len() >= PREFACE.len() && bytes.starts_with(PREFACE) {
        Some(Protocol::Http2)
    } else if PREFACE.starts_with(bytes) {
        None
    } else {
        Some(Protocol::Http1)
    }
}

/// Reads until the protocol is known; what was read is kept for it. `None` if the client left
/// without a byte. No deadline here: the caller has one.
pub(super) async fn detect<S>(socket: &ReadAhead<S>) -> io::Result<Option<Protocol>>
where
    S: AsyncRead + Unpin,
{
    loop {
        if let Some(protocol) = recognise(&socket.ahead()) {
            return Ok(Some(protocol));
        }
        let read = std::future::poll_fn(|cx| socket.poll_read_ahead(cx, usize::MAX)).await?;
        if read == 0 {
            return Ok(if socket.ahead().is_empty() { None } else { Some(Protocol::Http1) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_is_recognised_only_when_it_is_whole() {
        for cut in 0..PREFACE.len() {
            assert_eq!(recognise(&PREFACE[..cut]), None, "after {cut} bytes");
        }
        assert_eq!(recognise(PREFACE), Some(Protocol::Http2));
        assert_eq!(recognise(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0"), Some(Protocol::Http2));
    }

    #[test]
    fn requests_are_recognised_by_their_first_byte_that_differs() {
        for request in ["G", "POST / HTTP/1.1", "PR ", "PROPFIND / HTTP/1.1", "\r\n"] {
            assert_eq!(recognise(request.as_bytes()), Some(Protocol::Http1), "{request:?}");
        }
        assert_eq!(recognise(b"P"), None);
    }
}
