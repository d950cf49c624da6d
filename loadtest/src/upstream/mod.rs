//! The mock upstream: what it answers is a script, what it saw is a log.
//!
//! ```no_run
//! use loadtest::upstream::{Script, Upstream};
//! use std::time::Duration;
//!
//! # fn main() -> std::io::Result<()> {
//! let script = Script::new().stream_after(Duration::from_millis(20)).tokens(5, Duration::from_millis(10)).done();
//! let upstream = Upstream::builder().tls().http2().script(script).start()?;
//! println!("{} trusts {}", upstream.base_url(), upstream.ca_pem());
//! # Ok(()) }
//! ```

#![allow(clippy::doc_markdown, reason = "OpenAI and the constants of RFCs are names, not code")]

/// The mock as a server of its own.
pub mod cli;
mod clock;
mod log;
mod openai;
/// An upstream without HTTP: what came, byte for byte, and scripted bytes back.
pub mod raw;
mod script;
mod server;
mod stream;
mod wire;

pub use clock::now_ns;
pub use log::{
    ConnectionEnd, ConnectionSeen, End, HeaderLine, KEPT_BODIES, KEPT_BODY, KEPT_ENTRIES, Log,
    RequestSeen,
};
pub use openai::{NAMED_SCRIPTS, Standard};
pub use script::Script;
pub use script::seen::Seen;
pub use script::step::{ErrorEvent, Goaway, Head, Step, Tokens};
pub use server::builder::Builder;
pub use server::running::Upstream;
pub use stream::chunk::{About, Shape};
pub use wire::Cut;
