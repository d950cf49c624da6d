//! How slowly a client may send its request's body: a pure decision.
//!
//! A client has a stock of patience, as much time as it may be silent at once. The stock shrinks only while
//! we wait for the client, never while the upstream takes nothing or the client may not send; each byte earns back the time that it
//! takes at the least rate, up to what there was at first. So a pause of seconds passes, and a trickle does
//! not, however long it lasts.

use std::time::{Duration, Instant};

use crate::error::Kind;

/// The stock of one request's body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Bytes a second; 0 where silence alone counts.
    least: u64,
    /// The silence that is allowed at once.
    most: Duration,
    left: Duration,
    /// Since when we wait for the client.
    waiting: Option<Instant>,
    /// For how long it could not send, when that began; see [`Pace::wait`].
    hindered: Duration,
}

impl Pace {
    /// A client may be silent for `most`, and send no slower than `least` bytes a second on average.
    pub(super) fn new(most: Duration, least: u64) -> Self {
        Self { least, most, left: most, waiting: None, hindered: Duration::ZERO }
    }

    /// We wait for the client, from `now` on if not already. When that is long enough, and what it then is.
    /// `hindered` is for how long we did not allow it to send, ever: it may be asked again later, and then
    /// has as much more time as that has grown.
    pub(super) fn wait(
        &mut self,
        now: impl FnOnce() -> Instant,
        hindered: Duration,
    ) -> (Instant, Kind) {
        let begins = || {
            self.hindered = hindered;
            now()
        };
        let since = *self.waiting.get_or_insert_with(begins);
        let silent = self.left == self.most;
        let more = hindered.saturating_sub(self.hindered);
        (since + self.left + more, if silent { Kind::BodyIdle } else { Kind::BodySlow })
    }

    /// Something came, or nothing is waited for any more. The clocks are read only if something was.
    pub(super) fn stop(&mut self, clocks: impl FnOnce() -> (Instant, Duration)) {
        let Some(since) = self.waiting.take() else { return };
        if self.least > 0 {
            let (now, hindered) = clocks();
            let waited = now.saturating_duration_since(since);
            let ours = hindered.saturating_sub(self.hindered);
            self.left = self.left.saturating_sub(waited.saturating_sub(ours));
        }
    }

    /// So many bytes came.
    pub(super) fn earn(&mut self, bytes: usize) {
        if self.left < self.most {
            let nanos = (bytes as u64).saturating_mul(1_000_000_000) / self.least.max(1);
            self.left = self.left.saturating_add(Duration::from_nanos(nanos)).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// How long a client lasts that sends `bytes` after each pause, up to an hour.
    fn lasts(least: u64, bytes: usize, pause: Duration) -> Option<(Duration, Kind)> {
        let start = Instant::now();
        let mut pace = Pace::new(30 * S, least);
        let mut now = start;
        while now < start + 3600 * S {
            let (due, kind) = pace.wait(|| now, Duration::ZERO);
            if now + pause >= due {
                return Some((due - start, kind));
            }
            now += pause;
            pace.stop(|| (now, Duration::ZERO));
            pace.earn(bytes);
        }
        None
    }

    #[test]
    fn silence_ends_it_whatever_came_before() {
        assert_eq!(lasts(500, 1 << 20, 30 * S), Some((30 * S, Kind::BodyIdle)));
        assert_eq!(lasts(0, 1, 30 * S), Some((30 * S, Kind::BodyIdle)));
    }

    #[test]
    fn a_trickle_lasts_little_longer_than_silence() {
        // slowhttptest -B: 16 bytes each 10 s.
        let (lasted, kind) = lasts(500, 16, 10 * S).unwrap();
        assert_eq!(kind, Kind::BodySlow);
        assert!(lasted < 31 * S, "{lasted:?}");
        let (lasted, _) = lasts(500, 490, S).unwrap();
        assert!(lasted > 1000 * S, "close under the rate it takes long: {lasted:?}");
    }

    #[test]
    fn pauses_pass_where_the_average_holds() {
        assert_eq!(lasts(500, 500, S), None);
        assert_eq!(lasts(500, 29 * 500, 29 * S), None, "a phone in a tunnel");
        assert_eq!(lasts(0, 1, 29 * S), None, "no rate, no average");
    }

    #[test]
    fn what_came_early_is_no_credit_for_later() {
        let now = Instant::now();
        let mut pace = Pace::new(30 * S, 500);
        pace.earn(1 << 30);
        assert_eq!(pace.wait(|| now, Duration::ZERO).0, now + 30 * S);
    }

    #[test]
    fn time_in_which_nobody_waits_for_it_is_not_the_client_s() {
        let now = Instant::now();
        let mut pace = Pace::new(30 * S, 500);
        pace.wait(|| now, Duration::ZERO);
        pace.stop(|| (now + 10 * S, Duration::ZERO));
        pace.stop(|| (now + 500 * S, Duration::ZERO));
        let (due, kind) = pace.wait(|| now + 1000 * S, Duration::ZERO);
        assert_eq!((due, kind), (now + 1020 * S, Kind::BodySlow));
    }

    #[test]
    fn time_in_which_it_may_not_send_is_not_the_client_s() {
        let now = Instant::now();
        let mut pace = Pace::new(30 * S, 500);
        pace.wait(|| now, 100 * S);
        assert_eq!(pace.wait(|| now, 105 * S).0, now + 35 * S);
        pace.stop(|| (now + 20 * S, 118 * S));
        assert_eq!(pace.wait(|| now, 118 * S).0, now + 28 * S, "two of the twenty were its own");
    }
}
