//! For how long a peer is still read from that was answered and goes on sending. Pure; time is told.
//!
//! Nobody needs what it sends, but closing under it would cost it the answer: its kernel throws away what it has not
//! read once ours answers its bytes with a reset. So it is read from for as long as it sends in earnest.

use std::time::{Duration, Instant};

/// Silence after which no more is on its way. A phone's uplink pauses for seconds; nginx waits as long.
const SILENCE: Duration = Duration::from_secs(5);

/// And the longest in all: an audio file of 25 MB over 4 Mbit/s.
const MOST: Duration = Duration::from_secs(60);

/// Bytes a second that it must send on average, or a trickle would keep its connection for as long as that.
const RATE: u64 = 4 * 1024;

/// One peer that is read from.
#[derive(Debug, Clone, Copy)]
pub struct Lingering {
    since: Instant,
    heard: Instant,
    bytes: u64,
}

impl Lingering {
    /// From `now` on.
    pub fn new(now: Instant) -> Self {
        Self { since: now, heard: now, bytes: 0 }
    }

    /// It sent so many bytes, the last of them at `now`.
    pub fn came(&mut self, bytes: usize, now: Instant) {
        self.heard = now;
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// When it is read from no longer, unless more comes until then.
    pub fn due(&self) -> Instant {
        let earned = Duration::from_secs(self.bytes / RATE).min(MOST);
        (self.heard + SILENCE).min(self.since + SILENCE + earned).min(self.since + MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// How long a peer is read from that sends `bytes` after each pause.
    fn lasts(bytes: usize, pause: Duration) -> Duration {
        let start = Instant::now();
        let (mut lingering, mut now) = (Lingering::new(start), start);
        while now + pause < lingering.due() {
            now += pause;
            lingering.came(bytes, now);
        }
        lingering.due() - start
    }

    #[test]
    fn who_sends_is_read_from_for_a_minute_however_much_it_is() {
        for (bytes, pause) in [(1 << 20, S / 1000), (16 * 1024, S / 10), (20 * 1024, 4 * S)] {
            assert_eq!(lasts(bytes, pause), MOST, "{bytes} bytes each {pause:?}");
        }
    }

    #[test]
    fn who_is_silent_or_trickles_is_not() {
        assert_eq!(lasts(1 << 30, 5 * S), SILENCE);
        assert_eq!(lasts(1, 4 * S), SILENCE);
        assert_eq!(lasts(100, S / 10), 6 * S, "a quarter of the rate");
    }
}
