//! A streaming client that knows when each byte came.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use loadtest::client::{Request, Target, Trace, fetch};
//! let target = Target::new("http://127.0.0.1:8080")?;
//! let mut trace = Trace::default();
//! let outcome = fetch(&target, &Request::post("/v1/chat/completions", "{}")?, &mut trace).await;
//! assert!(outcome.ok());
//! # Ok(()) }
//! ```

/// HTTP/1.1's chunked coding, read strictly.
mod chunked;
/// `CLOCK_MONOTONIC`, the one clock of every stamp.
pub mod clock;
/// Why there is no connection.
mod dial_error;
mod http;
/// What became of a request.
mod outcome;
/// How fast an answer is read.
mod pace;
/// Warm connections, lent to one request at a time.
mod pool;
/// What one request has shown so far.
mod progress;
/// An HTTP/1.1 answer as a pure state machine.
mod reply;
/// What is sent.
mod request;
/// Server-sent events, found by scanning bytes.
mod sse;
/// A socket that tells when the kernel received.
mod stamped;
/// Where requests go, and how.
mod target;

pub use clock::Mono;
pub use dial_error::DialError;
pub use http::connection::{Connection, SendOptions};
pub use http::dial::dial;
pub use outcome::{Check, Failure, FailureKind, Outcome, Stamps};
pub use pace::Pace;
pub use pool::{Pool, STREAMS_PER_CONNECTION};
pub use progress::{Arrival, Trace, Watch};
pub use request::{Request, RequestError};
pub use target::{Protocol, Target, TargetError};

/// Sends one request on a connection of its own.
///
/// The outcome says everything, a failure to connect included. Dropping the future closes the
/// connection.
pub async fn fetch<W: Watch>(target: &Target, request: &Request, watch: &mut W) -> Outcome {
    let due = Mono::now();
    Pool::cold(target.clone()).send(request, due, &SendOptions::default(), watch).await
}
