//! No descriptor or local port for a connection: our own shortage, about which the upstream can do nothing.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// After a connect failed for want of sockets, requests that no open connection can take are refused at
/// once for so long, and then the next one tries. Longer, and a socket that is given back lies idle; much
/// shorter, and each refusal costs a search through all ports.
const PAUSE: Duration = Duration::from_millis(100);

/// Of one pool.
#[derive(Default)]
pub(in crate::upstream) struct Shortage {
    until: Cell<Option<Instant>>,
}

impl Shortage {
    /// A connect failed for want of sockets. The pause before the next one.
    pub(in crate::upstream) fn begin(&self, now: Instant) -> Duration {
        self.until.set(Some(now + PAUSE));
        PAUSE
    }

    /// A connect succeeded.
    pub(in crate::upstream) fn end(&self) {
        self.until.set(None);
    }

    /// Whether a connect would fail: then nobody waits for one.
    pub(in crate::upstream) fn lasts(&self, now: Instant) -> bool {
        self.until.get().is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_for_its_pause_or_until_a_connect_succeeds() {
        let (shortage, now) = (Shortage::default(), Instant::now());
        assert!(!shortage.lasts(now));
        let pause = shortage.begin(now);
        assert!(shortage.lasts(now) && shortage.lasts(now + pause / 2));
        assert!(!shortage.lasts(now + pause));
        shortage.end();
        assert!(!shortage.lasts(now));
    }
}
