//! An upstream's answer: its head from bytes. As strict as with requests: where two readers could see two ends,
//! the bytes behind one of them would be the next request's answer (RFC 9112, section 11.1).

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{Response, StatusCode, Version, response};
use hyper::ext::ReasonPhrase;

use super::answer::is_bodyless;
use super::fault::Fault;
use super::head::Limits;
use super::lines::{BadLine, is_chunked, map, number, said};
use super::search::{Endless, Search};

/// Header lines that are parsed without an allocation; more are, where the bound allows them.
const USUAL_HEADERS: usize = 128;

/// Lines that we put in on the way down: with room for them the map need not grow, and hash all again.
const OURS: usize = 4;

/// Where the reason begins in `HTTP/1.1 200 OK`.
const REASON: usize = 13;

/// An answer's head, and what it says about its body and its connection.
#[derive(Debug)]
pub struct ResponseHead {
    /// Status, version and headers, all as they came.
    pub parts: response::Parts,
    /// How the body's end is found.
    pub framing: ResponseFraming,
    /// The upstream takes another request on this connection, if the body ends where it says.
    pub keep_alive: bool,
}

/// How the end of an answer's body is found (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseFraming {
    /// After so many bytes; no body is 0.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

impl Search {
    /// The length of an answer's head at the front of `ahead`, once it is there.
    ///
    /// # Errors
    /// [`Fault::HeadTooLarge`], and [`Fault::BareLf`] on a line end that others may take for none.
    pub fn find_response(
        &mut self,
        ahead: &mut BytesMut,
        limits: Limits,
    ) -> Result<Option<usize>, Fault> {
        self.end(ahead, limits.bytes).map_err(|endless| match endless {
            Endless::BareLf => Fault::BareLf,
            Endless::TooLong | Endless::FirstLineTooLong => Fault::HeadTooLarge,
        })
    }
}

/// A head from the bytes that [`Search::find_response`] found. Values share them. `to_head`: it answers a HEAD,
/// and has no body whatever it says.
///
/// # Errors
/// What is wrong with it.
pub fn parse_response(block: &Bytes, limits: Limits, to_head: bool) -> Result<ResponseHead, Fault> {
    let mut usual = [const { MaybeUninit::uninit() }; USUAL_HEADERS];
    let mut many = Vec::new();
    let room = if limits.headers <= USUAL_HEADERS {
        &mut usual[..limits.headers]
    } else {
        many.resize_with(limits.headers, MaybeUninit::uninit);
        &mut many[..]
    };
    let mut answer = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut answer, block, room).map_err(wrong)? {
        httparse::Status::Complete(length) if length == block.len() => {}
        // An empty line where the parser does not see one.
        _ => return Err(Fault::HeaderLine),
    }
    let (Some(code), Some(minor)) = (answer.code, answer.version) else {
        return Err(Fault::StatusLine);
    };
    let status = StatusCode::from_u16(code).map_err(|_| Fault::StatusLine)?;
    let current = minor == 1;
    let mut parts = Response::new(()).into_parts().0;
    parts.status = status;
    parts.version = if current { Version::HTTP_11 } else { Version::HTTP_10 };
    parts.headers = map(block, answer.headers, OURS).map_err(bad)?;
    if answer.reason != status.canonical_reason()
        && let Ok(reason) = ReasonPhrase::try_from(reason(block))
    {
        parts.extensions.insert(reason);
    }
    let framing = framing(&parts.headers)?;
    let persists = said(answer.headers).keep_alive.unwrap_or(current);
    let (framing, ends) = ending(status, framing, to_head, current);
    Ok(ResponseHead { parts, framing, keep_alive: persists && ends })
}

/// As it came, which the parser does not tell of bytes beyond ASCII.
fn reason(block: &Bytes) -> Bytes {
    let end = memchr::memchr(b'\r', block).unwrap_or(block.len());
    block.slice(REASON.min(end)..end)
}

fn wrong(error: httparse::Error) -> Fault {
    match error {
        httparse::Error::TooManyHeaders => Fault::TooManyHeaders,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Fault::HeaderLine,
        httparse::Error::Version
        | httparse::Error::Status
        | httparse::Error::Token
        | httparse::Error::NewLine => Fault::StatusLine,
    }
}

fn bad(line: BadLine) -> Fault {
    match line {
        BadLine::Name | BadLine::Value => Fault::HeaderLine,
        BadLine::TooMany => Fault::TooManyHeaders,
    }
}

fn framing(headers: &HeaderMap) -> Result<ResponseFraming, Fault> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(ResponseFraming::UntilClose),
        (None, Some(first)) => match number(first) {
            Some(length) if lengths.all(|other| other == first) => {
                Ok(ResponseFraming::Length(length))
            }
            _ => Err(Fault::Length),
        },
        (Some(_), Some(_)) => Err(Fault::TwoFramings),
        (Some(line), None) if is_chunked(line) && codings.next().is_none() => {
            Ok(ResponseFraming::Chunked)
        }
        (Some(_), None) => Err(Fault::TransferCoding),
    }
}

/// How the body ends in the light of status and method, and whether both sides agree on that so surely that the
/// connection may stay.
fn ending(
    status: StatusCode,
    said: ResponseFraming,
    to_head: bool,
    current: bool,
) -> (ResponseFraming, bool) {
    const NONE: ResponseFraming = ResponseFraming::Length(0);
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return (NONE, false);
    }
    if to_head || status == StatusCode::NOT_MODIFIED {
        return (NONE, true);
    }
    if is_bodyless(status) || status.is_informational() {
        // It must have none, and says that it has: whoever wrote that may send it.
        return (NONE, matches!(said, ResponseFraming::UntilClose | NONE));
    }
    match said {
        ResponseFraming::Length(_) => (said, true),
        // HTTP/1.0 knows no codings: somebody between may have passed on what he did not read. nginx and
        // HAProxy take them off too.
        ResponseFraming::Chunked => (said, current),
        ResponseFraming::UntilClose => (said, false),
    }
}

#[cfg(test)]
mod tests;
