//! HTTP/1.1 toward clients (RFC 9112): heads read and written, bodies framed both ways. Who serves a
//! connection, and for how long, is for `accept` to say.

mod answer;
mod body;
mod chunked;
mod date;
mod head;
mod out;

pub use answer::{Coding, Persistence, encode, is_bodyless};
pub use body::{Body, Intake, Taken};
pub use head::{Framing, Head, Limits, Search, parse};
pub use out::Out;
