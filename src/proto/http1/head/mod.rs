//! A request's head from bytes. Strict where two readers could differ: that is how requests are smuggled
//! (RFC 9112, section 11.2).

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{Method, Request, Uri, Version, request};

use super::lines::{BadLine, is_chunked, map, number, said};
use super::raw_target::RawTarget;
use super::search::{Endless, Search};
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

impl Search {
    /// The length of a request's head at the front of `ahead`, once it is there. Empty lines before it are
    /// dropped (RFC 9112, section 2.2).
    ///
    /// # Errors
    /// [`Kind::HeadTooLarge`], [`Kind::TargetTooLong`] where not even the first line fits, and
    /// [`Kind::BadRequest`] on a line end without CR, which others may take for none.
    pub fn find(&mut self, ahead: &mut BytesMut, limits: Limits) -> Result<Option<usize>, Kind> {
        self.end(ahead, limits.bytes).map_err(|endless| match endless {
            Endless::BareLf => BARE_LF,
            Endless::TooLong => Kind::HeadTooLarge,
            Endless::FirstLineTooLong => Kind::TargetTooLong,
        })
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
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(block, room).map_err(wrong)? {
        httparse::Status::Complete(length) if length == block.len() => {}
        // An empty line where the parser does not see one.
        _ => return Err(MALFORMED),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(MALFORMED);
    };
    let mut parts = Request::new(()).into_parts().0;
    parts.method = Method::from_bytes(method.as_bytes()).map_err(|_| MALFORMED)?;
    if let Some(raw) = uri(block, target, &mut parts.uri)? {
        parts.extensions.insert(raw);
    }
    parts.version = if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    parts.headers = map(block, request.headers, OURS).map_err(bad)?;
    let said = said(request.headers);
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

/// Puts a target into `uri`; and gives it as it came, where a URI cannot hold it like that.
fn uri(block: &Bytes, target: &str, uri: &mut Uri) -> Result<Option<RawTarget>, Kind> {
    if target.len() > LONGEST_TARGET {
        return Err(Kind::TargetTooLong);
    }
    let shared = || block.slice_ref(target.as_bytes());
    if let Ok(parsed) = Uri::from_maybe_shared(shared()) {
        *uri = parsed;
        return Ok(None);
    }
    let (raw, encoded) = RawTarget::encode(&shared()).ok_or(TARGET)?;
    *uri = Uri::from_maybe_shared(encoded).map_err(|_| TARGET)?;
    Ok(Some(raw))
}

fn bad(line: BadLine) -> Kind {
    match line {
        BadLine::Name => NAME,
        BadLine::Value => VALUE,
        BadLine::TooMany => Kind::TooManyHeaders,
    }
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
        (Some(line), None) if current && is_chunked(line) => {
            if codings.next().is_none() {
                Framing::Chunked
            } else {
                Framing::Unclear
            }
        }
        _ => Framing::Unclear,
    }
}

#[cfg(test)]
mod another;
#[cfg(test)]
mod splits;
#[cfg(test)]
mod tests;
