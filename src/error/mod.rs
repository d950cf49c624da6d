//! Everything that can fail, on which side, and what the client is told: one table.
//!
//! The OpenAI SDKs choose their exception by status alone (400 `BadRequestError`, 401
//! `AuthenticationError`, 403 `PermissionDeniedError`, 404 `NotFoundError`, 409 `ConflictError`, 422
//! `UnprocessableEntityError`, 429 `RateLimitError`, 500 and above `InternalServerError`, anything
//! else `APIStatusError`) and retry 408, 409, 429 and 5xx of themselves. The table therefore sets
//! `x-should-retry: false` only where a second try cannot help, and `retry-after` on our own 503s.

mod kind;
mod respond;
mod row;
mod table;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::fmt;

pub use table::Kind;

/// A failure with its cause. `Display` prints this level only; `source()` has the rest.
#[derive(Debug)]
pub struct Error {
    side: Side,
    kind: Kind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Who failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Between the client and us.
    Client,
    /// Between us and the upstream.
    Upstream,
    /// We ourselves.
    Proxy,
}

/// What the failure counts as at the end of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The upstream failed, before or after its head.
    Upstream,
    /// The client left.
    Client,
    /// A deadline passed, on either side.
    Timeout,
    /// We would not take the request.
    Refused,
}

impl Error {
    /// A failure without a further cause.
    pub fn new(kind: Kind) -> Self {
        Self { side: kind.side(), kind, source: None }
    }

    /// A failure and what caused it. The cause goes to logs, never to the client.
    pub fn with(kind: Kind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { side: kind.side(), kind, source: Some(source.into()) }
    }

    /// What failed.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Who failed.
    pub fn side(&self) -> Side {
        self.side
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.message())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}
