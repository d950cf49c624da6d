//! How far a connect came, for the word to say when its time is over.

use std::cell::Cell;

use crate::error::Cause;

/// What is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Its name is being resolved.
    #[default]
    Name,
    /// An address was called.
    Tcp,
    /// The proxy took the connection, and is to open the way.
    Proxy,
    /// The peer took the connection: TLS.
    Tls,
    /// HTTP/2's SETTINGS are awaited.
    Http,
}

/// The furthest that any of its attempts came.
#[derive(Debug, Default)]
pub(super) struct Stage(Cell<Step>);

impl Stage {
    /// One of them is here now.
    pub(super) fn at(&self, step: Step) {
        self.0.set(self.0.get().max(step));
    }

    /// What took too long.
    pub(super) fn timed_out(&self) -> Cause {
        match self.0.get() {
            Step::Name => Cause::DnsTimeout,
            Step::Tcp => Cause::ConnectTimeout,
            Step::Proxy => Cause::ProxyTimeout,
            Step::Tls => Cause::TlsTimeout,
            Step::Http => Cause::HttpTimeout,
        }
    }
}
