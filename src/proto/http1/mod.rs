//! HTTP/1.1 (RFC 9112): heads read and written, bodies framed both ways, toward clients and toward upstreams. Who
//! serves a connection, and for how long, is for `accept` to say; who asks on one, for `upstream`.

mod answer;
mod body;
mod chunked;
mod date;
mod fault;
mod head;
mod hints;
mod lines;
mod out;
mod raw_target;
mod request;
mod response;
mod search;

pub use answer::{Coding, Persistence, encode, is_bodyless};
pub use body::{Body, Intake, Taken};
pub use chunked::{Chunked, Step};
pub use fault::Fault;
pub use head::{Framing, Head, Limits, parse};
pub use hints::Hints;
pub use out::Out;
pub use raw_target::RawTarget;
pub use request::{RequestCoding, encode_request};
pub use response::{ResponseFraming, ResponseHead, parse_response};
pub use search::Search;
