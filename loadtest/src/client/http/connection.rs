//! A connection in either protocol, and one exchange on it.

use std::time::Duration;

use super::{h1::H1, h2::H2};
use crate::client::clock::Mono;
use crate::client::outcome::{Failure, FailureKind, Outcome};
use crate::client::pace::{Pace, Pacer};
use crate::client::progress::{Progress, Watch};
use crate::client::request::Request;

/// How one exchange is done.
#[derive(Clone, Copy, Debug)]
pub struct SendOptions {
    /// Bound on the whole exchange, from the moment it is taken up.
    pub timeout: Duration,
    /// Hash the body: needed for [`Outcome::sha256`] and for the check against the mock's digest.
    pub hash: bool,
    /// How fast the answer is read.
    pub pace: Pace,
}

impl Default for SendOptions {
    /// A minute, no hashing, read at once.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(60), hash: false, pace: Pace::Full }
    }
}

/// An open connection.
#[derive(Debug)]
pub enum Connection {
    /// Carries one request at a time.
    Http1(H1),
    /// Carries many; a clone shares the connection.
    Http2(H2),
}

impl Connection {
    /// Sends `request`, which should have started at `due`, and reads the answer to its end.
    ///
    /// Dropping the future breaks the exchange off: HTTP/1.1 loses the connection, HTTP/2 resets
    /// the stream.
    pub async fn send<W: Watch>(
        &mut self,
        request: &Request,
        due: Mono,
        options: &SendOptions,
        watch: &mut W,
    ) -> Outcome {
        let mut progress = Progress::new(due, options.hash, watch);
        let mut pacer = Pacer::new(options.pace);
        let exchange = async {
            match self {
                Self::Http1(h1) => h1.exchange(request, &mut pacer, &mut progress).await,
                Self::Http2(h2) => h2.exchange(request, &mut pacer, &mut progress).await,
            }
        };
        let result = match tokio::time::timeout(options.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => {
                Err(Failure::new(FailureKind::Timeout, "the request was not complete in time"))
            }
        };
        let outcome = progress.finish(Mono::now(), result.err());
        Outcome { slow: options.pace != Pace::Full, ..outcome }
    }

    /// Whether another request may be sent on it, as far as this side knows.
    pub fn is_open(&mut self) -> bool {
        match self {
            Self::Http1(h1) => h1.is_open(),
            Self::Http2(h2) => h2.is_open(),
        }
    }

    /// `HTTP/1.1` or `HTTP/2`.
    pub fn protocol(&self) -> &'static str {
        match self {
            Self::Http1(_) => "HTTP/1.1",
            Self::Http2(_) => "HTTP/2",
        }
    }
}
