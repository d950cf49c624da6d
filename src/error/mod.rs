//! Everything that can fail, on which side, and what the client is told: one table.
//!
//! The OpenAI SDKs choose their exception by status alone (400 `BadRequestError`, 401
//! `AuthenticationError`, 403 `PermissionDeniedError`, 404 `NotFoundError`, 409 `ConflictError`, 422
//! `UnprocessableEntityError`, 429 `RateLimitError`, 500 and above `InternalServerError`, anything
//! else `APIStatusError`) and retry 408, 409, 429 and 5xx of themselves. The table therefore sets
//! `x-should-retry: false` only where a second try cannot help, and `retry-after` on our own 503s.

mod cause;
mod detail;
mod kind;
mod respond;
mod row;
mod table;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

pub use cause::{Cause, Distrust};
pub use detail::Detail;
pub use table::Kind;

/// A failure: what it is to the client, why it happened, and what was found. `Display` prints what a client may
/// read; `source()` has the rest.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    cause: Option<Cause>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    /// What is known beyond the table, for the client.
    detail: Option<Box<Detail>>,
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
    /// A failure of which no more is known than its kind; the kind's usual cause, where it has one.
    pub fn new(kind: Kind) -> Self {
        Self { kind, cause: kind.usual_cause(), source: None, detail: None }
    }

    /// The same with what was found. That goes to logs, never to the client.
    pub fn with(kind: Kind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::new(kind) }
    }

    /// The same with what the client is told of this very case.
    #[must_use]
    pub fn told(self, detail: Detail) -> Self {
        Self { detail: Some(Box::new(detail)), ..self }
    }

    /// It happened for this reason.
    #[must_use]
    pub fn because(self, cause: Cause) -> Self {
        Self { cause: Some(cause), ..self }
    }

    /// What failed.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Why. Each 502 and 504 has one.
    pub fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// When the client is told to come back.
    pub fn retry_after(&self) -> Option<Duration> {
        let told = self.detail.as_ref().and_then(|detail| detail.retry_after);
        told.or_else(|| self.kind.retry_after())
    }

    /// Who failed.
    pub fn side(&self) -> Side {
        self.kind.side()
    }

    /// What failed, on which side, and what to do: fit for anyone's eyes.
    pub fn message(&self) -> &'static str {
        self.cause.map_or_else(|| self.kind.message(), Cause::message)
    }

    /// `x-should-retry`: `false` where the same request must fail again; otherwise the SDKs' own rule (408, 409,
    /// 429, 5xx) is right and `None` leaves it to them.
    pub fn should_retry(&self) -> Option<bool> {
        let hopeless = self.cause.is_some_and(|cause| !cause.heals());
        self.kind.should_retry().or_else(|| hopeless.then_some(false))
    }

    /// The same failure for somebody else whom it meets, without what was found.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { kind: self.kind, cause: self.cause, source: None, detail: self.detail.clone() }
    }

    /// It is the failure of this address.
    #[must_use]
    pub fn at(self, peer: impl fmt::Display) -> Self {
        let found = match &self.source {
            Some(_) => format!("{peer}: {}", self.found().unwrap_or_default()),
            None => peer.to_string(),
        };
        Self { source: Some(found.into()), ..self }
    }

    /// All that was found, outermost first, for a log.
    pub fn found(&self) -> Option<String> {
        let mut text = self.source.as_ref()?.to_string();
        let mut next = self.source.as_ref().and_then(|source| source.source());
        while let Some(source) = next {
            // Many errors print their cause themselves.
            let deeper = source.to_string();
            if !text.contains(&deeper) {
                text.push_str(": ");
                text.push_str(&deeper);
            }
            next = source.source();
        }
        Some(text)
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}
