//! Heads on their way through: what HTTP forbids to forward is taken out first, what the operator
//! configured is put in after, and everything else stays as it is, byte for byte.
//!
//! All of it happens in place on the `HeaderMap` that the client's or the upstream's message came
//! in. Lines of one name keep their order; the order of different names says nothing in HTTP (RFC
//! 9110, section 5.3) and may change, since removing from a `HeaderMap` swaps.

mod answer;
mod forwarded;
mod framing;
mod hop_by_hop;
mod interim;
mod location;
mod request;
mod target;
mod trailers;
mod underscore;

pub use answer::{answer, is_event_stream};
pub use forwarded::{Came, most as most_forwarded, tell as tell_forwarded};
pub use hop_by_hop::clean_hop_by_hop;
pub(crate) use hop_by_hop::{asks_for_websocket, speaks_of_trailers};
use hop_by_hop::{clean_marked, marked};
pub(super) use interim::pass_hints;
pub use location::{Way, toward_client};
pub(crate) use request::is_large;
pub use request::{BadUpstream, UpstreamHead};
pub(crate) use trailers::{clean_request_trailers, clean_trailers};
pub use underscore::Withheld;

use http::header::{HeaderMap, HeaderValue, VIA};
use http::request::Parts;
use http::{HeaderName, Version};

use crate::upstream::HeadSize;

/// Our own id of a request, in answers. The upstream's `x-request-id` stays the upstream's.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-firstbyte-request-id");

/// Which upstream of a group answered, by the operator's name for it.
pub const UPSTREAM: HeaderName = HeaderName::from_static("x-firstbyte-upstream");

/// What one header field takes beside the bytes that its [`HeadSize`] counts.
const FIELD: usize = 32;

/// What a request's head takes while it is held, in bytes, at a guess from above. `size` is that of its lines.
pub fn bytes(head: &Parts, size: HeadSize) -> usize {
    let path = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
    size.bytes + size.lines * FIELD + path
}

/// Adds ourselves as the last hop, with the version in which the message reached us (RFC 9110,
/// section 7.6.3).
fn add_via(headers: &mut HeaderMap, received: Version) {
    let hop = match received {
        Version::HTTP_2 => "2 firstbyte",
        Version::HTTP_10 => "1.0 firstbyte",
        _ => "1.1 firstbyte",
    };
    headers.append(VIA, HeaderValue::from_static(hop));
}
