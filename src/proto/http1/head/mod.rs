//! A request's head from bytes. Strict where two readers could differ: that is how requests are smuggled
//! (RFC 9112, section 11.2).

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, TE, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version, request};

use crate::error::Kind;

/// Header lines that are parsed without an allocation; more are, where the bound allows them.
const USUAL_HEADERS: usize = 128;

/// Lines that we put in on the way: with room for them the map need not grow, and hash all again.
const OURS: usize = 4;

/// The longest target that the `http` crate holds.
const LONGEST_TARGET: usize = u16::MAX as usize - 1;

const BARE_LF: Kind = Kind::BadRequest("A line of the request head ends without CR.");
const MALFORMED: Kind = Kind::BadRequest("The request is not valid HTTP.");
const NAME: Kind = Kind::BadRequest("A header name contains an invalid character.");
const VALUE: Kind = Kind::BadRequest("A header value contains an invalid character.");
const TARGET: Kind = Kind::BadRequest("The request target is neither a path nor a URI.");
const VERSION: Kind = Kind::BadRequest("The request's HTTP version is not 1.0 or 1.1.");

/// Bounds on a head.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes, from the method to the empty line.
    pub bytes: usize,
    /// Header lines.
    pub headers: usize,
}

/// A request's head, and what it says about its connection.
#[derive(Debug)]
pub struct Head {
    /// Method, target, version and headers, all as they came.
    pub parts: request::Parts,
    /// How the body's end is found.
    pub framing: Framing,
    /// The client wants to ask again on this connection.
    pub keep_alive: bool,
    /// The client waits to be told to send its body (RFC 9110, section 10.1.1).
    pub expects: bool,
    /// The client reads trailers (RFC 9110, section 10.1.4).
    pub trailers: bool,
}

/// How the end of a request's body is found (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes; no body is 0.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// Not at all: the head says two things, or something we can't read. Whoever looks at the head
    /// refuses it, and nothing after it may be read as a request.
    Unclear,
}

#[derive(Default)]
struct Said {
    /// Whether the connection stays, where either was said.
    keep_alive: Option<bool>,
    expects: bool,
    trailers: bool,
}

/// Looks for a head's end in what has been read, each byte once.
#[derive(Debug, Default)]
pub struct Search {
    seen: usize,
    /// The first line's end is there.
    first_line_fits: bool,
}

impl Search {
    /// The length of the head at the front of `ahead`, once it is there. Empty lines before a request
    /// are dropped (RFC 9112, section 2.2).
    ///
    /// # Errors
    /// [`Kind::HeadTooLarge`], [`Kind::TargetTooLong`] where not even the first line fits, and
    /// [`Kind::BadRequest`] on a line end without CR, which others may take for none.
    pub fn find(&mut self, ahead: &mut BytesMut, limits: Limits) -> Result<Option<usize>, Kind> {
        while self.seen == 0 && ahead.starts_with(b"\r\n") {
            ahead.advance(2);
        }
        let from = self.seen;
        // What lies behind the bound decides nothing: it may have come by now, or not.
        let within = ahead.len().min(limits.bytes);
        for at in memchr::memchr_iter(b'\n', &ahead[from..within]) {
            let line = &ahead[..=from + at];
            if !line.ends_with(b"\r\n") {
                return Err(BARE_LF);
            }
            if line.ends_with(b"\r\n\r\n") {
                return Ok(Some(line.len()));
            }
            self.first_line_fits = true;
        }
        if ahead.len() > limits.bytes {
            return Err(if self.first_line_fits {
                Kind::HeadTooLarge
            } else {
                Kind::TargetTooLong
            });
        }
        // A lone CR at the front may yet become an empty line.
        self.seen = if &ahead[..] == b"\r" { 0 } else { ahead.len() };
        Ok(None)
    }
}

/// A head from the bytes that [`Search::find`] found. Target and values share them.
///
/// # Errors
/// [`Kind::BadRequest`] with what is wrong, [`Kind::TooManyHeaders`], [`Kind::TargetTooLong`].
pub fn parse(block: &Bytes, limits: Limits) -> Result<Head, Kind> {
    let mut usual = [const { MaybeUninit::uninit() }; USUAL_HEADERS];
    let mut many = Vec::new();
    let room = if limits.headers <= USUAL_HEADERS {
        &mut usual[..limits.headers]
    } else {
        many.resize_with(limits.headers, MaybeUninit::uninit);
        &mut many[..]
    };
    let mut lines = httparse::Request::new(&mut []);
    match lines.parse_with_uninit_headers(block, room).map_err(wrong)? {
        httparse::Status::Complete(length) if length == block.len() => {}
        // An empty line where the parser does not see one.
        _ => return Err(MALFORMED),
    }
    let (Some(method), Some(target), Some(minor)) = (lines.method, lines.path, lines.version)
    else {
        return Err(MALFORMED);
    };
    let mut parts = Request::new(()).into_parts().0;
    parts.method = Method::from_bytes(method.as_bytes()).map_err(|_| MALFORMED)?;
    parts.uri = uri(block, target)?;
    parts.version = if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    parts.headers = headers(block, lines.headers)?;
    let said = said(lines.headers);
    let current = parts.version == Version::HTTP_11;
    Ok(Head {
        framing: framing(&parts.headers, current),
        keep_alive: said.keep_alive.unwrap_or(current),
        expects: current && said.expects,
        trailers: said.trailers,
        parts,
    })
}

fn wrong(error: httparse::Error) -> Kind {
    match error {
        httparse::Error::TooManyHeaders => Kind::TooManyHeaders,
        httparse::Error::HeaderName => NAME,
        httparse::Error::HeaderValue => VALUE,
        httparse::Error::Version => VERSION,
        httparse::Error::Token | httparse::Error::NewLine | httparse::Error::Status => MALFORMED,
    }
}

fn uri(block: &Bytes, target: &str) -> Result<Uri, Kind> {
    if target.len() > LONGEST_TARGET {
        return Err(Kind::TargetTooLong);
    }
    Uri::from_maybe_shared(block.slice_ref(target.as_bytes())).map_err(|_| TARGET)
}

fn headers(block: &Bytes, lines: &[httparse::Header<'_>]) -> Result<HeaderMap, Kind> {
    let mut headers = HeaderMap::with_capacity(lines.len() + OURS);
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| NAME)?;
        let value =
            HeaderValue::from_maybe_shared(block.slice_ref(line.value)).map_err(|_| VALUE)?;
        headers.try_append(name, value).map_err(|_| Kind::TooManyHeaders)?;
    }
    Ok(headers)
}

/// What the lines say of the connection. Read from the lines: looking for each name in the map would
/// hash it again.
fn said(lines: &[httparse::Header<'_>]) -> Said {
    let mut said = Said::default();
    for line in lines {
        let is = |name: HeaderName| line.name.eq_ignore_ascii_case(name.as_str());
        match line.name.len() {
            10 if is(CONNECTION) => {
                if has(line.value, b"close") {
                    said.keep_alive = Some(false);
                } else if has(line.value, b"keep-alive") {
                    said.keep_alive.get_or_insert(true);
                }
            }
            6 if is(EXPECT) => said.expects |= has(line.value, b"100-continue"),
            2 if is(TE) => said.trailers |= has(line.value, b"trailers"),
            _ => {}
        }
    }
    said
}

/// Whether `member` is in a list.
fn has(list: &[u8], member: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(member))
}

fn framing(headers: &HeaderMap, current: bool) -> Framing {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (codings.next(), lengths.next()) {
        (None, None) => Framing::Length(0),
        (None, Some(first)) => match number(first) {
            Some(length) if lengths.all(|other| other == first) => Framing::Length(length),
            _ => Framing::Unclear,
        },
        // HTTP/1.0 knows no codings: whoever sent this did not write it alone.
        (Some(line), None) if current && line.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            if codings.next().is_none() {
                Framing::Chunked
            } else {
                Framing::Unclear
            }
        }
        _ => Framing::Unclear,
    }
}

/// Digits alone: `u64::from_str` would take a plus sign.
fn number(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod another;
#[cfg(test)]
mod splits;
#[cfg(test)]
mod tests;
