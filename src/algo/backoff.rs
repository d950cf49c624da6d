//! How long to leave a peer alone after failures: pure.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The `round`-th pause (from 0): any time up to `first` doubled that often, `longest` at most. All of
/// the interval and not its upper half: of all ways to spread retries this one makes the fewest calls
/// (AWS, "Exponential Backoff and Jitter", 2015). `drawn` is the place in it, of all `u64`.
pub fn backoff(first: Duration, longest: Duration, round: u32, drawn: u64) -> Duration {
    let most = first.saturating_mul(2_u32.saturating_pow(round)).min(longest);
    let nanos = (most.as_nanos() * u128::from(drawn)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A place in a pause. Each process begins elsewhere: proxies and workers that lost their upstream
/// in the same moment must not come back in the same moment.
pub(crate) fn draw() -> u64 {
    // The standard library's keys come from the system once per thread and differ with each call.
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_lie_anywhere_below() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let most = |round| backoff(first, longest, round, u64::MAX).as_millis();
        assert_eq!([0, 1, 2, 3, 4, 40].map(most), [99, 199, 399, 799, 999, 999]);
        assert_eq!(backoff(first, longest, 3, 0), Duration::ZERO);
        assert_eq!(backoff(first, longest, 3, 1 << 63), Duration::from_millis(400));
    }

    /// A thousand workers that failed together: no tenth of the interval gets twice its share.
    #[test]
    fn those_who_failed_together_come_back_apart() {
        let second = Duration::from_secs(1);
        let mut tenths = [0; 10];
        for _ in 0..1000 {
            let pause = backoff(second, second, 0, draw());
            tenths[(pause.as_millis() / 100) as usize] += 1;
        }
        assert!(tenths.iter().all(|share| (40..200).contains(share)), "{tenths:?}");
    }
}
