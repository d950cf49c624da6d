//! How fast a reader takes what has come: a slow one, on purpose, leaves the rest to flow control.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Reads per second of a reader with a rate: each takes that part of a second's bytes.
const SIPS: u32 = 20;

/// How fast an answer is read.
///
/// What a slow reader has not read waits where flow control leaves it: over HTTP/1.1 in this side's
/// socket buffer and behind it, over HTTP/2 in the stream's window of 1 MiB and behind that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// At once.
    #[default]
    Full,
    /// So many bytes per second. Over HTTP/2 a whole DATA frame is taken at a time, and paid for
    /// with a pause as long as its size asks for.
    PerSecond(NonZeroU32),
    /// A pause of this length after each read (HTTP/1.1: up to 128 KiB; HTTP/2: a DATA frame).
    Pause(Duration),
}

/// Keeps one exchange to its pace.
#[derive(Debug)]
pub(super) struct Pacer {
    pace: Pace,
    /// When the next read is allowed, once one was made.
    next: Option<Pin<Box<Sleep>>>,
}

impl Pacer {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, next: None }
    }

    /// Waits until a read is allowed; says how many bytes it may take at most, never 0.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if let Some(next) = &mut self.next {
            ready!(next.as_mut().poll(cx));
        }
        Poll::Ready(match self.pace {
            Pace::Full | Pace::Pause(_) => usize::MAX,
            Pace::PerSecond(rate) => (rate.get() / SIPS).max(1) as usize,
        })
    }

    /// A read took so many bytes.
    pub(super) fn took(&mut self, bytes: usize) {
        let pause = match self.pace {
            Pace::Full => return,
            Pace::PerSecond(rate) => Duration::from_secs_f64(bytes as f64 / f64::from(rate.get())),
            Pace::Pause(pause) => pause,
        };
        // A second saved up while nothing came is not caught up: the rate is a bound.
        let next = Instant::now() + pause;
        match &mut self.next {
            Some(sleep) => sleep.as_mut().reset(next),
            None => self.next = Some(Box::pin(sleep_until(next))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long `reads` of 100 bytes each take, in the runtime's paused time.
    async fn spent(pace: Pace, reads: usize) -> Duration {
        let (begun, mut pacer) = (Instant::now(), Pacer::new(pace));
        for _ in 0..reads {
            let most = std::future::poll_fn(|cx| pacer.poll_read(cx)).await;
            assert!(most > 0);
            pacer.took(100.min(most));
        }
        begun.elapsed()
    }

    fn paused<T>(work: impl Future<Output = T>) -> T {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap().block_on(work)
    }

    #[test]
    fn a_reader_without_a_pace_never_waits() {
        assert_eq!(paused(spent(Pace::Full, 1000)), Duration::ZERO);
    }

    #[test]
    fn a_rate_is_kept_however_small_the_reads() {
        // 100 bytes at 1,000/s: sips of 50 bytes, 50 ms each; the first waits for nothing.
        let slow = Pace::PerSecond(NonZeroU32::new(1_000).unwrap());
        let took = paused(spent(slow, 41));
        assert!(took.abs_diff(Duration::from_secs(2)) < Duration::from_millis(100), "{took:?}");
        assert!(paused(spent(Pace::PerSecond(NonZeroU32::MIN), 3)) >= Duration::from_secs(2));
    }

    #[test]
    fn a_pause_follows_each_read_but_the_last() {
        let took = paused(spent(Pace::Pause(Duration::from_millis(200)), 6));
        assert!(took.abs_diff(Duration::from_secs(1)) < Duration::from_millis(20), "{took:?}");
    }
}
