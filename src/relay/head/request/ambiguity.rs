//! Heads that could be understood in two ways.

use http::Version;
use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;

use crate::error::{Error, Kind};
use crate::relay::head::framing::{Coding, coding, one_length};
use crate::upstream::Marks;

pub(super) const TWO_HOSTS: Kind = Kind::BadRequest("The request has more than one Host header.");
pub(super) const NO_HOST: Kind = Kind::BadRequest("The request has no Host header.");
pub(super) const TWO_LENGTHS: Kind =
    Kind::BadRequest("The request's Content-Length is not a single number.");
pub(super) const TWO_FRAMINGS: Kind =
    Kind::BadRequest("The request has both a Content-Length and a Transfer-Encoding.");
pub(super) const OLD_CODING: Kind =
    Kind::BadRequest("The request is HTTP/1.0 and must not have a Transfer-Encoding.");
pub(super) const CODING: Kind =
    Kind::BadRequest("The request's Transfer-Encoding must be chunked and nothing else.");

/// A head that two readers could take for two different requests goes no further. hyper and `h2`
/// see to much of this too, though not to two Hosts; the key must not depend on which.
pub(super) fn refuse_ambiguity(head: &mut Parts, marks: Marks) -> Result<(), Error> {
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => return Err(TWO_HOSTS.into()),
        (None, _) if head.version == Version::HTTP_11 => return Err(NO_HOST.into()),
        _ => {}
    }
    if !one_length(&mut head.headers, marks) {
        return Err(TWO_LENGTHS.into());
    }
    match coding(&head.headers, marks) {
        Coding::Chunked if head.headers.contains_key(CONTENT_LENGTH) => Err(TWO_FRAMINGS.into()),
        // It knows no codings: this one stood before somebody who passed it on without reading it.
        Coding::Chunked if head.version == Version::HTTP_10 => Err(OLD_CODING.into()),
        Coding::Plain | Coding::Chunked => Ok(()),
        Coding::Other => Err(CODING.into()),
    }
}
