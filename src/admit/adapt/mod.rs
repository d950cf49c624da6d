//! Limits of requests in flight that move: what all workers share of one.
//!
//! On the path a request costs some atomic words: its place, its first byte among the `samples`, and, toward an
//! upstream, the `allowance` that the upstream itself grants (`told`). The worker whose first byte completes a round
//! decides, at most each 100 ms; the others do not wait for it. `stream_limit` joins that with the fixed limit.

mod allowance;
mod samples;
mod stream_limit;
mod told;

pub use stream_limit::{Full, StreamLimit};
pub use told::Told;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::limit::{Limit, LimitGuard};
use crate::algo::adaptive::{AdaptiveBound, Change, Policy, Round, Way};
use crate::config::Adapt;
use crate::record::{LimitMeters, Lowered};
use allowance::Allowance;
use samples::Samples;
use told::believed;

/// A round takes so long at least: medians of an instant are those of one burst.
const ROUND: Duration = Duration::from_millis(100);

/// A limit that follows the first byte. Shared by all workers, and by a configuration and the next.
#[derive(Debug)]
pub struct Adaptive {
    /// The route or upstream, for the log.
    name: String,
    /// What instants count from.
    origin: Instant,
    bound: AtomicUsize,
    /// Most in flight since the round began.
    peak: AtomicUsize,
    /// First bytes of requests that were sent before say nothing of the bound.
    changed: AtomicU64,
    /// The round ends no sooner.
    not_before: AtomicU64,
    needed: AtomicUsize,
    samples: [Samples; 2],
    decided: Mutex<AdaptiveBound>,
    allowance: Allowance,
    meters: Arc<LimitMeters>,
}

/// A request was sent and is not answered yet.
#[derive(Debug)]
pub struct Unanswered(Arc<Adaptive>);

/// The first byte of an answer is waited for.
#[derive(Debug)]
pub struct FirstByte {
    limits: [Option<Arc<Adaptive>>; 2],
    sent: Instant,
    way: Way,
}

impl Adaptive {
    fn new(name: &str, adapt: Adapt, limit: &Limit) -> Arc<Self> {
        let origin = Instant::now();
        let decided = AdaptiveBound::new(policy(adapt), origin);
        let adaptive = Self {
            name: name.to_owned(),
            origin,
            bound: AtomicUsize::new(0),
            peak: AtomicUsize::new(limit.taken()),
            changed: AtomicU64::new(0),
            not_before: AtomicU64::new(0),
            needed: AtomicUsize::new(0),
            samples: Default::default(),
            allowance: Allowance::default(),
            meters: LimitMeters::new(limit.count()),
            decided: Mutex::new(decided.clone()),
        };
        adaptive.show(&decided);
        Arc::new(adaptive)
    }

    /// Goes on under another policy; what was learned stays.
    fn adopt(&self, adapt: Adapt) {
        let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        decided.adopt(policy(adapt));
        self.show(&decided);
    }

    /// What is shown of it.
    pub fn meters(&self) -> &Arc<LimitMeters> {
        &self.meters
    }

    /// A place under `limit`, if one is free and the upstream takes more.
    fn enter(&self, limit: &Limit, now: Instant) -> Result<LimitGuard, Full> {
        let counted = self.allowance.take(self.ns(now));
        let counted = counted.map_err(|ns| Full::RateLimited(Duration::from_nanos(ns)))?;
        let Some((limit_guard, taken)) = limit.enter_below(self.bound.load(Relaxed)) else {
            if counted {
                self.allowance.give_back();
            }
            return Err(Full::Busy);
        };
        if taken > self.peak.load(Relaxed) {
            self.peak.fetch_max(taken, Relaxed);
        }
        Ok(limit_guard)
    }

    /// The upstream takes no request now.
    pub fn is_shut(&self, now: Instant) -> bool {
        self.allowance.shut_for(self.ns(now)).is_some()
    }

    /// A request is sent.
    pub fn sent(self: &Arc<Self>) -> Unanswered {
        self.allowance.sent();
        Unanswered(Arc::clone(self))
    }

    /// An answer's head says this of the upstream's own limits.
    pub fn told(&self, told: &Told, now: Instant) {
        if let Some((left, reset)) = told.allows() {
            self.allow(left, reset, now);
        }
    }

    /// The upstream refused a request that was sent at `sent` with 429. `pause`: what its `retry-after` says.
    pub fn refused(&self, told: &Told, pause: Option<Duration>, sent: Instant, now: Instant) {
        let used_up = told.allows().filter(|(left, _)| *left == 0).map(|(_, reset)| reset);
        if let Some(pause) = pause.or(used_up) {
            self.allow(0, pause, now);
        }
        let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        let before = decided.bound();
        let change = decided.refused(sent, self.meters.in_flight(), now);
        if change.is_some() {
            self.meters.lowered(Lowered::RateLimited);
        }
        self.restart(&decided, now);
        self.log(before, decided.bound(), None);
    }

    fn allow(&self, left: u64, reset: Duration, now: Instant) {
        let (reset, now) = (believed(reset), self.ns(now));
        if self.allowance.set(left, now + reset.as_nanos() as u64, now) {
            self.meters.lowered(Lowered::Remaining);
            tracing::debug!(limit = self.name, ?reset, "the upstream's own limit is used up");
        }
    }

    /// The first byte of a request that was sent at `sent` came, or did not within its deadline.
    fn saw(&self, way: Way, sent: Instant, now: Instant) {
        if self.ns(sent) < self.changed.load(Relaxed) {
            return;
        }
        let count = self.samples[way as usize].add(now.saturating_duration_since(sent));
        let is_over =
            count >= self.needed.load(Relaxed) && self.ns(now) >= self.not_before.load(Relaxed);
        // Whoever finds it taken leaves the decision to who has it.
        if is_over && let Ok(mut decided) = self.decided.try_lock() {
            self.decide(&mut decided, way, now);
        }
    }

    fn decide(&self, decided: &mut AdaptiveBound, way: Way, now: Instant) {
        let taken = self.meters.in_flight();
        let peak = self.peak.swap(taken, Relaxed).max(taken);
        let Some(median) = self.samples[way as usize].take_median() else { return };
        let before = decided.bound();
        let change = decided.round(&Round { way, median, peak }, now);
        if change == Some(Change::Lowered) {
            self.meters.lowered(Lowered::Latency);
        }
        if change.is_some() {
            // The other way's were measured under the old bound too.
            self.samples.iter().for_each(Samples::forget);
        }
        self.restart(decided, now);
        self.log(before, decided.bound(), Some(median));
    }

    fn restart(&self, decided: &AdaptiveBound, now: Instant) {
        self.not_before.store(self.ns(now + ROUND), Relaxed);
        self.show(decided);
    }

    fn show(&self, decided: &AdaptiveBound) {
        self.changed.store(self.ns(decided.changed()), Relaxed);
        self.needed.store(decided.needed(), Relaxed);
        self.bound.store(decided.bound(), Relaxed);
        self.meters.set_bound(decided.bound());
    }

    fn log(&self, before: usize, after: usize, median: Option<Duration>) {
        if before != after {
            let limit = &self.name;
            tracing::debug!(limit, before, after, first_byte = ?median, "adaptive limit moved");
        }
    }

    fn ns(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.origin).as_nanos() as u64
    }
}

impl Unanswered {
    /// The limit that it is sent under.
    pub fn limit(&self) -> &Arc<Adaptive> {
        &self.0
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.allowance.answered();
    }
}

impl FirstByte {
    /// Of a request that was sent at `sent`, as all of `limits` are to know.
    pub fn new(limits: [Option<Arc<Adaptive>>; 2], sent: Instant, is_streamed: bool) -> Self {
        let way = if is_streamed { Way::Streamed } else { Way::Whole };
        Self { limits, sent, way }
    }

    /// It came, or its deadline passed.
    pub fn came(&self, now: Instant) {
        for limit in self.limits.iter().flatten() {
            limit.saw(self.way, self.sent, now);
        }
    }
}

fn policy(adapt: Adapt) -> Policy {
    let Adapt { floor, ceiling, tolerance_percent } = adapt;
    Policy { floor, ceiling, tolerance: f64::from(tolerance_percent) / 100.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const ADAPT: Adapt = Adapt { floor: 4, ceiling: 64, tolerance_percent: 200 };

    fn limit() -> StreamLimit {
        StreamLimit::new(1_000, Some(ADAPT), "a")
    }

    /// Fills the limit and has every first byte take so long, until the bound moved so often.
    fn rounds(limit: &StreamLimit, took: Duration, count: usize, mut now: Instant) -> Instant {
        let adaptive = limit.adaptive().unwrap();
        for _ in 0..count {
            let _held: Vec<_> = std::iter::from_fn(|| limit.enter().ok()).collect();
            now += ROUND;
            let first_byte = FirstByte::new([Some(Arc::clone(adaptive)), None], now, true);
            now += took;
            (0..100).for_each(|_| first_byte.came(now));
        }
        now
    }

    #[test]
    fn all_workers_move_one_bound_and_the_fixed_limit_holds_all_the_same() {
        let limit = limit();
        let enter =
            |limit: &StreamLimit| std::iter::from_fn(|| limit.enter().ok()).collect::<Vec<_>>();
        assert_eq!(enter(&limit).len(), 4);
        rounds(&limit, MS * 100, 20, Instant::now());
        assert_eq!(enter(&limit.clone()).len(), 64);
        assert_eq!(limit.adaptive().unwrap().meters().bound(), 64);
    }

    #[test]
    fn a_reload_keeps_what_was_learned_within_its_new_bounds() {
        let old = limit();
        let now = rounds(&old, MS * 100, 20, Instant::now());
        let _held = old.enter().unwrap();
        let narrower = old.follow(1_000, Some(Adapt { ceiling: 10, ..ADAPT }), "a");
        let held: Vec<_> = std::iter::from_fn(|| narrower.enter().ok()).collect();
        assert_eq!(held.len(), 9, "one is taken already");
        drop(held);
        rounds(&narrower, MS * 300, 3, now);
        let lowered = narrower.adaptive().unwrap().meters().count(Lowered::Latency);
        assert!(lowered > 0, "300 ms are slow where 100 ms are usual");
        let fixed = narrower.follow(100, None, "a");
        assert!(fixed.adaptive().is_none());
        let held: Vec<_> = std::iter::from_fn(|| fixed.enter().ok()).collect();
        assert_eq!(held.len(), 99);
    }

    #[test]
    fn an_upstream_that_is_used_up_gets_nothing_until_its_reset() {
        let limit = limit();
        let adaptive = limit.adaptive().unwrap();
        let now = Instant::now();
        adaptive.told(&Told { requests: Some((0, MS * 60_000)), tokens: None }, now);
        assert!(matches!(limit.enter(), Err(Full::RateLimited(left)) if left > MS * 50_000));
        assert!(adaptive.is_shut(now) && !adaptive.is_shut(now + MS * 60_000));
        assert_eq!(adaptive.meters().count(Lowered::Remaining), 1);
        adaptive.told(&Told { requests: Some((1, MS * 60_000)), tokens: None }, now);
        let one = limit.enter();
        assert!(one.is_ok() && matches!(limit.enter(), Err(Full::RateLimited(_))));
        assert_eq!(limit.taken(), 1, "what is refused takes no place");
    }

    #[test]
    fn many_threads_lose_no_place_and_no_count() {
        let limit = limit();
        let adaptive = limit.adaptive().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let Ok(_place) = limit.enter() else { continue };
                        let unanswered = adaptive.sent();
                        let sent = Instant::now();
                        let limits = [Some(Arc::clone(unanswered.limit())), None];
                        FirstByte::new(limits, sent, true).came(sent + MS);
                    }
                });
            }
        });
        assert_eq!(limit.taken(), 0);
        let now = Instant::now();
        adaptive.told(&Told { requests: Some((1, MS * 60_000)), tokens: None }, now);
        assert!(!adaptive.is_shut(now), "nothing is left unanswered");
    }
}
