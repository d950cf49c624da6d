//! Whether a worker has to wait for its core, by what the kernel counts of its thread.
//!
//! A neighbour that keeps a core busy delays each turn of a worker there by milliseconds, and the worker itself
//! cannot see it: it is as quick as ever once it runs. The kernel counts how long a thread was runnable and did
//! not run, and how often it was given a core.

use std::fs;
use std::time::Duration;

use crate::accept::Loads;

/// Between two looks. Each is a turn of its own, so that a worker without requests is measured too.
const LOOK: Duration = Duration::from_millis(500);

/// The average wait for a turn from which new connections had better go elsewhere: more than a hand-over to
/// another worker costs, and many times what a core that is one's own makes it wait.
const LONG: Duration = Duration::from_millis(1);

/// What the kernel has counted of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turns {
    waited: Duration,
    count: u64,
}

/// Tells the other workers, for as long as this one serves. Returns where the kernel does not count.
pub(in crate::runtime) async fn watch(worker: usize, loads: Loads) {
    let Some(mut before) = Turns::of_this_thread() else { return };
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(now) = Turns::of_this_thread() else { return };
        loads.set_starved(worker, now.average_since(before) >= LONG);
        before = now;
    }
}

impl Turns {
    fn of_this_thread() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/thread-self/schedstat").ok()?)
    }

    /// Nanoseconds on a core, nanoseconds waiting for one, turns: `proc_pid_schedstat(5)`. All zero where the
    /// kernel does not count.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().map(str::parse);
        let (_ran, waited, count) = (numbers.next()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        (count > 0).then_some(Self { waited: Duration::from_nanos(waited), count })
    }

    fn average_since(self, before: Self) -> Duration {
        let turns = self.count.saturating_sub(before.count).max(1);
        let waited = self.waited.saturating_sub(before.waited);
        waited / u32::try_from(turns).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_wait_for_a_turn_is_between_two_looks() {
        let at = |text| Turns::parse(text).unwrap();
        let (before, now) = (at("9 2000000 10\n"), at("12 8000000 12\n"));
        assert_eq!(now.average_since(before), Duration::from_millis(3));
        assert_eq!(before.average_since(before), Duration::ZERO, "no turn, no wait");
        assert_eq!(Turns::parse("0 0 0\n"), None, "this kernel does not count");
        assert_eq!(Turns::parse(""), None);
    }

    /// Two threads on one core, one of which never rests.
    #[test]
    fn a_thread_whose_core_is_taken_is_seen_to_wait() {
        use std::sync::atomic::{AtomicBool, Ordering};
        if Turns::of_this_thread().is_none() {
            return; // this kernel does not count
        }
        let stop = AtomicBool::new(false);
        let waits = |turns: u32| {
            crate::kernel::pin(0);
            let before = Turns::of_this_thread().unwrap();
            for _ in 0..turns {
                std::thread::park_timeout(Duration::from_micros(100));
                // More than the kernel lets pass before another one's turn.
                let began = std::time::Instant::now();
                while began.elapsed() < Duration::from_millis(8) {
                    std::hint::spin_loop();
                }
            }
            Turns::of_this_thread().unwrap().average_since(before)
        };
        let waited = std::thread::scope(|scope| {
            scope.spawn(|| {
                crate::kernel::pin(0);
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            let waited = scope.spawn(|| waits(20)).join().unwrap();
            stop.store(true, Ordering::Relaxed);
            waited
        });
        assert!(waited >= LONG / 2, "{waited:?}");
    }
}
