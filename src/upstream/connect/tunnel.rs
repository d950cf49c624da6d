//! A way through an HTTP proxy: CONNECT (RFC 9110, section 9.3.6), asked before TLS.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use secrecy::ExposeSecret;

use crate::config::Egress;
use crate::error::{Cause, Error, Kind};

/// The largest head of a proxy's answer.
const LARGEST: usize = 16 * 1024;
/// Its lines at most.
const MOST_LINES: usize = 64;

/// Opens the way to `authority`. Afterwards the stream is the upstream's: not a byte of it was read.
///
/// # Errors
/// The proxy refused, or its answer is none.
pub(super) async fn open(
    stream: &mut TcpStream,
    egress: &Egress,
    authority: &str,
) -> Result<(), Error> {
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(authorization) = &egress.authorization {
        request.push_str("Proxy-Authorization: ");
        request.push_str(authorization.expose_secret());
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(closed)?;
    let head = head(stream).await?;
    let mut lines = [httparse::EMPTY_HEADER; MOST_LINES];
    let mut answer = httparse::Response::new(&mut lines);
    let parsed = answer.parse(&head);
    let (Ok(httparse::Status::Complete(_)), Some(code)) = (parsed, answer.code) else {
        return Err(failed(Cause::ProxyNotHttp, "its answer to CONNECT is not HTTP/1.1"));
    };
    let found = || format!("it answered CONNECT with {code} {}", answer.reason.unwrap_or_default());
    match code {
        200..300 => Ok(()),
        407 => Err(failed(Cause::ProxyAuthentication, found())),
        500.. => Err(failed(Cause::ProxyFailed, found())),
        _ => Err(failed(Cause::ProxyDenied, found())),
    }
}

/// The answer's head and nothing behind it: an upstream that speaks first may have begun.
async fn head(stream: &mut TcpStream) -> Result<Vec<u8>, Error> {
    let mut head = Vec::new();
    loop {
        let known = head.len();
        let mut seen = [0; 2048];
        let came = stream.peek(&mut seen).await.map_err(closed)?;
        if came == 0 {
            return Err(closed(io::ErrorKind::UnexpectedEof.into()));
        }
        head.extend_from_slice(&seen[..came]);
        let end = head.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        let taken = end.map_or(came, |end| end - known);
        stream.read_exact(&mut seen[..taken]).await.map_err(closed)?;
        if let Some(end) = end {
            head.truncate(end);
            return Ok(head);
        }
        if head.len() > LARGEST {
            return Err(failed(Cause::ProxyNotHttp, "its answer to CONNECT does not end"));
        }
    }
}

/// What an error on the way to the proxy, or before the way was open, means.
pub(super) fn before(error: Error) -> Error {
    let cause = match error.cause() {
        Some(Cause::DnsFailed | Cause::DnsTimeout) => Cause::ProxyDnsFailed,
        Some(Cause::ConnectTimeout) => Cause::ProxyTimeout,
        Some(Cause::Refused | Cause::Unreachable | Cause::ConnectFailed) => Cause::ProxyUnreachable,
        _ => return error,
    };
    error.because(cause)
}

fn closed(error: io::Error) -> Error {
    Error::with(Kind::ConnectRefused, error).because(Cause::ProxyClosed)
}

fn failed(cause: Cause, found: impl Into<String>) -> Error {
    Error::with(Kind::ConnectRefused, found.into()).because(cause)
}
