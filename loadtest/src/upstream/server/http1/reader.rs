//! Request heads and bodies off the wire. Whatever the peer sends, this returns an error and never panics.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use crate::upstream::log::HeaderLine;
use crate::upstream::script::sink::Gone;
use crate::upstream::wire::Wire;

/// The longest head that is read.
const HEAD_LIMIT: usize = 256 * 1024;
const HEADERS_LIMIT: usize = 1024;
/// How many pipelined bytes are read ahead while an answer is under way.
const AHEAD_LIMIT: usize = 64 * 1024;
/// The longest line of a chunk's size or of its trailers.
const LINE_LIMIT: usize = 16 * 1024;

/// A request's head.
pub(super) struct RequestHead {
    pub(super) method: String,
    /// Path and query; of an absolute target only these.
    pub(super) path: String,
    pub(super) authority: Option<String>,
    pub(super) headers: Vec<HeaderLine>,
    pub(super) keep_alive: bool,
    /// HTTP/1.0: no chunks in the answer.
    pub(super) old: bool,
}

/// What came of a body.
pub(super) enum BodyRead {
    Piece(Bytes),
    /// The end, with the trailers.
    End(Vec<HeaderLine>),
}

/// How far the current request's body is.
enum Body {
    Length(u64),
    /// Within a chunk of which this much is missing; its line end comes after.
    Chunk(u64),
    ChunkEnd,
    ChunkSize,
    Trailers(Vec<HeaderLine>),
    Over,
}

/// The reading side of a connection. Its methods may be dropped at any await and called again.
pub(super) struct Reader {
    wire: Wire,
    buffer: BytesMut,
    body: Body,
}

impl Reader {
    pub(super) fn new(wire: Wire) -> Self {
        Self { wire, buffer: BytesMut::with_capacity(16 * 1024), body: Body::Over }
    }

    /// The next request's head; None if the peer closed between two requests.
    pub(super) async fn head(&mut self) -> Result<Option<RequestHead>, Gone> {
        loop {
            if let Some((head, body, len)) = parse(&self.buffer)? {
                self.buffer.advance(len);
                self.body = body;
                return Ok(Some(head));
            }
            if self.buffer.len() > HEAD_LIMIT {
                return Err(Gone::Malformed("the request head is too long".to_owned()));
            }
            if !self.fill().await? {
                let clean = self.buffer.is_empty();
                return if clean { Ok(None) } else { Err(Gone::Closed) };
            }
        }
    }

    /// The next piece of the body.
    pub(super) async fn body(&mut self) -> Result<BodyRead, Gone> {
        loop {
            if let Some(read) = self.decode()? {
                return Ok(read);
            }
            if !self.fill().await? {
                return Err(Gone::Closed);
            }
        }
    }

    /// Nothing of the current request's body is left to read.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.body, Body::Over)
    }

    /// Completes when the peer has closed; reads ahead so as to notice.
    pub(super) async fn gone(&mut self) -> Gone {
        while self.buffer.len() < AHEAD_LIMIT {
            match self.fill().await {
                Ok(true) => {}
                Ok(false) => return Gone::Closed,
                Err(gone) => return gone,
            }
        }
        std::future::pending().await
    }

    /// False at the end of the connection.
    async fn fill(&mut self) -> Result<bool, Gone> {
        self.buffer.reserve(16 * 1024);
        let read = self.wire.read_buf(&mut self.buffer).await;
        read.map(|len| len > 0).map_err(|_| Gone::Closed)
    }

    /// One step through the body; None if more bytes are needed.
    fn decode(&mut self) -> Result<Option<BodyRead>, Gone> {
        loop {
            match &mut self.body {
                Body::Over | Body::Length(0) => {
                    self.body = Body::Over;
                    return Ok(Some(BodyRead::End(Vec::new())));
                }
                Body::Chunk(0) => self.body = Body::ChunkEnd,
                Body::Length(left) | Body::Chunk(left) => {
                    return Ok(take(&mut self.buffer, left));
                }
                Body::ChunkEnd => {
                    let Some(line) = line(&mut self.buffer)? else { return Ok(None) };
                    if !line.is_empty() {
                        return Err(Gone::Malformed("a chunk is longer than its size".to_owned()));
                    }
                    self.body = Body::ChunkSize;
                }
                Body::ChunkSize => {
                    let Some(line) = line(&mut self.buffer)? else { return Ok(None) };
                    self.body = match chunk_size(&line)? {
                        0 => Body::Trailers(Vec::new()),
                        size => Body::Chunk(size),
                    };
                }
                Body::Trailers(lines) => {
                    let Some(line) = line(&mut self.buffer)? else { return Ok(None) };
                    if line.is_empty() {
                        let lines = std::mem::take(lines);
                        self.body = Body::Over;
                        return Ok(Some(BodyRead::End(lines)));
                    }
                    if lines.len() < HEADERS_LIMIT {
                        lines.push(trailer(&line));
                    }
                }
            }
        }
    }
}

fn take(buffer: &mut BytesMut, left: &mut u64) -> Option<BodyRead> {
    if buffer.is_empty() {
        return None;
    }
    let len = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    *left -= len as u64;
    Some(BodyRead::Piece(buffer.split_to(len).freeze()))
}

/// A line without its CRLF.
fn line(buffer: &mut BytesMut) -> Result<Option<Bytes>, Gone> {
    let Some(end) = buffer.iter().take(LINE_LIMIT).position(|byte| *byte == b'\n') else {
        let too_long = buffer.len() >= LINE_LIMIT;
        let error = Gone::Malformed("a line of a chunked body is too long".to_owned());
        return if too_long { Err(error) } else { Ok(None) };
    };
    let mut line = buffer.split_to(end + 1).freeze();
    line.truncate(end);
    if line.last() == Some(&b'\r') {
        line.truncate(end - 1);
    }
    Ok(Some(line))
}

fn chunk_size(line: &[u8]) -> Result<u64, Gone> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let text = std::str::from_utf8(digits).unwrap_or_default().trim();
    let valid = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let size = if valid { u64::from_str_radix(text, 16).ok() } else { None };
    size.ok_or_else(|| Gone::Malformed("a chunk size is not a number".to_owned()))
}

fn trailer(line: &[u8]) -> HeaderLine {
    let mut halves = line.splitn(2, |byte| *byte == b':');
    let name = String::from_utf8_lossy(halves.next().unwrap_or_default()).into_owned();
    let value = halves.next().unwrap_or_default().trim_ascii();
    HeaderLine { name, value: Bytes::copy_from_slice(value) }
}

/// A head, what body follows it, and how long it is; None if it is not whole yet.
fn parse(buffer: &[u8]) -> Result<Option<(RequestHead, Body, usize)>, Gone> {
    if buffer.is_empty() {
        return Ok(None);
    }
    let mut headers = vec![httparse::EMPTY_HEADER; HEADERS_LIMIT];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(buffer).map_err(|error| Gone::Malformed(error.to_string()))?;
    let httparse::Status::Complete(len) = parsed else { return Ok(None) };
    let lines: Vec<HeaderLine> = request
        .headers
        .iter()
        .map(|header| HeaderLine {
            name: header.name.to_owned(),
            value: Bytes::copy_from_slice(header.value),
        })
        .collect();
    let (authority, path) = target(request.path.unwrap_or_default());
    let old = request.version == Some(0);
    let has = |name: &str, token: &str| {
        let mut named = lines.iter().filter(|line| line.name.eq_ignore_ascii_case(name));
        named.any(|line| {
            line.value.to_ascii_lowercase().windows(token.len()).any(|w| w == token.as_bytes())
        })
    };
    let keep_alive =
        if old { has("connection", "keep-alive") } else { !has("connection", "close") };
    let body = if has("transfer-encoding", "chunked") { Body::ChunkSize } else { length(&lines)? };
    let method = request.method.unwrap_or_default().to_owned();
    let head = RequestHead { method, path, authority, headers: lines, keep_alive, old };
    Ok(Some((head, body, len)))
}

fn length(lines: &[HeaderLine]) -> Result<Body, Gone> {
    let Some(line) = lines.iter().find(|line| line.name.eq_ignore_ascii_case("content-length"))
    else {
        return Ok(Body::Over);
    };
    let number = std::str::from_utf8(&line.value).ok().and_then(|text| text.parse().ok());
    number
        .map(Body::Length)
        .ok_or_else(|| Gone::Malformed("content-length is not a number".to_owned()))
}

/// Splits an absolute target (RFC 9112, section 3.2.2) into authority and path.
fn target(target: &str) -> (Option<String>, String) {
    let Some((_, rest)) = target.split_once("://") else { return (None, target.to_owned()) };
    if target.starts_with('/') {
        return (None, target.to_owned());
    }
    let at = rest.find('/').unwrap_or(rest.len());
    let path = if at == rest.len() { "/" } else { &rest[at..] };
    (Some(rest[..at].to_owned()), path.to_owned())
}
