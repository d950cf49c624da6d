//! A bound on streams in flight that follows how long first bytes take: AIMD on a median. Pure.
//!
//! A model server's first bytes are quick until its slots are taken, and wait for a slot from then on. So the bound
//! rises slowly while first bytes come as they do at rest, and falls by a tenth once they take too long.
//! *At rest* is what is measured while no more than the floor is in flight, which the operator says never queues; only
//! there may the measure rise, so that no queue of our own making ever becomes what is usual.
//! Lengths of prompts scatter first bytes by a multiple: hence medians, and of many.

#[cfg(test)]
mod simulation;

use std::time::{Duration, Instant};

/// Fewer first bytes than this say nothing: the median of so many is right to within a third, where they scatter by
/// a factor of two.
const FEWEST: usize = 16;
/// More than this make the median no better than the tolerance needs.
const ENOUGH: usize = 100;
/// What is kept when first bytes take too long, or the upstream refuses: little, since a stream cannot be taken back
/// and the bound need only be passed by one to be felt.
const LOWERED: f64 = 0.9;
const REFUSED: f64 = 0.75;
/// The part by which the bound rises; while it has never been too high, and after that.
const FIRST_RISE: f64 = 0.5;
const RISE: f64 = 1.0 / 32.0;

/// What the operator asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// The bound is never lower. So many streams never queue.
    pub floor: usize,
    /// The bound is never higher; at least the floor.
    pub ceiling: usize,
    /// How many times as long as at rest a first byte may take; above 1.
    pub tolerance: f64,
}

/// How an answer comes: whole ones begin when they are complete, and are told apart from streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As a stream of events.
    Streamed,
    /// In one piece.
    Whole,
}

/// First bytes of answers of one way, measured since the bound was last changed.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Of all of them.
    pub way: Way,
    /// Half of them took no longer.
    pub median: Duration,
    /// Streams that were in flight at most.
    pub peak: usize,
}

/// How long first bytes take where nothing queues, in seconds.
#[derive(Debug, Clone, Copy)]
struct Usual {
    at_rest: f64,
    /// The same as seen since, never above `at_rest`: an upstream may have become faster.
    lately: f64,
}

/// What became of the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is higher.
    Raised,
    /// It is lower.
    Lowered,
}

/// The bound, and what it is decided by.
#[derive(Debug, Clone)]
pub struct AdaptiveBound {
    policy: Policy,
    bound: f64,
    usual: [Option<Usual>; 2],
    /// It was never too high yet.
    first_rise: bool,
    changed: Instant,
}

impl AdaptiveBound {
    /// At the floor.
    pub fn new(policy: Policy, now: Instant) -> Self {
        let bound = policy.floor as f64;
        Self { policy, bound, usual: [None; 2], first_rise: true, changed: now }
    }

    /// Goes on under another policy, from where it is.
    pub fn adopt(&mut self, policy: Policy) {
        self.policy = policy;
        self.bound = self.bound.clamp(policy.floor as f64, policy.ceiling as f64);
    }

    /// So many streams may be in flight.
    pub fn bound(&self) -> usize {
        self.bound as usize
    }

    /// When the bound was last changed: a request that was sent before says nothing of the new one.
    pub fn changed(&self) -> Instant {
        self.changed
    }

    /// How many first bytes make a [`Round`]: as many as are in flight, so that each round sees what the one before it
    /// changed.
    pub fn needed(&self) -> usize {
        self.bound().clamp(FEWEST, ENOUGH)
    }

    /// A round is over.
    pub fn round(&mut self, round: &Round, now: Instant) -> Option<Change> {
        let median = round.median.as_secs_f64();
        let rests = round.peak <= self.policy.floor;
        let usual =
            self.usual[round.way as usize].get_or_insert(Usual { at_rest: median, lately: median });
        let slow = median > usual.lately * self.policy.tolerance;
        usual.saw(median, rests, slow);
        if slow {
            return if rests { None } else { self.lower(LOWERED, round.peak, now) };
        }
        // What is not used need not grow.
        let is_used = round.peak * 4 >= self.bound() * 3;
        if is_used { self.raise(now) } else { None }
    }

    /// The upstream refused a request that was sent at `sent`, for a limit of its own. Of all that it refuses at once
    /// only the first counts.
    pub fn refused(&mut self, sent: Instant, taken: usize, now: Instant) -> Option<Change> {
        if sent < self.changed { None } else { self.lower(REFUSED, taken, now) }
    }

    /// `taken`: what was in flight. A bound that was not met is no measure of what is too much.
    fn lower(&mut self, keep: f64, taken: usize, now: Instant) -> Option<Change> {
        let before = self.bound();
        // A first rise went by halves: the step before it was not too high.
        let keep = if self.first_rise { keep.min(1.0 / (1.0 + FIRST_RISE)) } else { keep };
        self.first_rise = false;
        let from = self.bound.min(taken.max(1) as f64);
        self.bound = (from * keep).max(self.policy.floor as f64);
        self.changed = now;
        (self.bound() < before).then_some(Change::Lowered)
    }

    fn raise(&mut self, now: Instant) -> Option<Change> {
        let before = self.bound();
        let rise = if self.first_rise { FIRST_RISE } else { RISE };
        let step = (self.bound * rise).max(1.0);
        self.bound = (self.bound + step).min(self.policy.ceiling as f64);
        let raised = self.bound() > before;
        if raised {
            self.changed = now;
        }
        raised.then_some(Change::Raised)
    }
}

impl Usual {
    /// Where it rests, and is slow all the same, that is what is usual now: another model, or longer prompts.
    fn saw(&mut self, median: f64, rests: bool, slow: bool) {
        if rests {
            self.at_rest += (median - self.at_rest) * if slow { 0.5 } else { 0.2 };
            self.lately = self.at_rest;
        } else if !slow {
            // More down than up, and never above what was seen at rest: the scatter of medians neither lowers it
            // without end nor raises it.
            let weight = if median < self.lately { 0.1 } else { 0.02 };
            self.lately = (self.lately + (median - self.lately) * weight).min(self.at_rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const POLICY: Policy = Policy { floor: 4, ceiling: 64, tolerance: 2.0 };

    fn round(median: u32, peak: usize) -> Round {
        Round { way: Way::Streamed, median: MS * median, peak }
    }

    /// Risen to this bound, of which 100 ms are usual.
    fn risen(to: usize) -> (AdaptiveBound, Instant) {
        let now = Instant::now();
        let mut bound = AdaptiveBound::new(POLICY, now);
        while bound.bound() < to {
            bound.round(&round(100, bound.bound()), now);
        }
        (bound, now)
    }

    #[test]
    fn it_rises_while_it_is_met_and_first_bytes_come_as_at_rest() {
        let (bound, _) = risen(64);
        assert_eq!(bound.bound(), 64, "and no higher than the ceiling");
    }

    #[test]
    fn a_bound_that_is_not_met_stays_however_long() {
        let (mut bound, now) = risen(20);
        let before = bound.bound();
        for _ in 0..10_000 {
            assert_eq!(bound.round(&round(100, 5), now), None);
        }
        assert_eq!(bound.bound(), before);
    }

    #[test]
    fn slow_first_bytes_lower_it_and_never_below_the_floor() {
        let (mut bound, now) = risen(64);
        let mut before = bound.bound();
        while before > 4 {
            assert_eq!(bound.round(&round(201, before), now), Some(Change::Lowered));
            assert!(bound.bound() < before);
            before = bound.bound();
        }
        assert_eq!(bound.round(&round(5_000, 5), now), None);
        assert_eq!(bound.bound(), 4);
    }

    #[test]
    fn a_queue_of_our_own_making_never_becomes_what_is_usual() {
        let (mut bound, now) = risen(20);
        for _ in 0..10_000 {
            // A little slower each time, up to what is just tolerated.
            bound.round(&round(199, 20), now);
        }
        assert_eq!(bound.round(&round(201, 64), now), Some(Change::Lowered));
    }

    #[test]
    fn what_takes_longer_at_rest_too_is_usual_from_then_on() {
        let (mut bound, now) = risen(20);
        while bound.bound() > 4 {
            bound.round(&round(400, bound.bound()), now);
        }
        for _ in 0..20 {
            bound.round(&round(400, bound.bound()), now);
        }
        assert!(bound.bound() > 12, "{bound:?}");
    }

    #[test]
    fn of_many_refusals_at_once_only_one_counts() {
        let (mut bound, now) = risen(64);
        let later = now + MS;
        assert_eq!(bound.refused(now, 64, later), Some(Change::Lowered));
        let after = bound.bound();
        assert!((0..100).all(|_| bound.refused(now, 64, later).is_none()));
        assert_eq!(bound.bound(), after);
        assert_eq!(bound.refused(later, 64, later), Some(Change::Lowered));
    }

    #[test]
    fn whole_answers_are_not_compared_with_streams() {
        let (mut bound, now) = risen(20);
        let whole = Round { way: Way::Whole, ..round(5_000, 20) };
        assert_ne!(bound.round(&whole, now), Some(Change::Lowered));
        assert_ne!(bound.round(&round(100, 20), now), Some(Change::Lowered));
        let queued = Round { way: Way::Whole, ..round(10_001, 20) };
        assert_eq!(bound.round(&queued, now), Some(Change::Lowered));
    }

    #[test]
    fn whatever_comes_it_stays_within_floor_and_ceiling() {
        let mut random = simulation::Random(7);
        for _ in 0..200 {
            let floor = 1 + random.below(50);
            let mut policy = Policy { floor, ceiling: floor + random.below(500), tolerance: 1.5 };
            let now = Instant::now();
            let mut bound = AdaptiveBound::new(policy, now);
            for _ in 0..500 {
                let _moved_or_not = match random.below(10) {
                    0 => bound.refused(now, random.below(1_000), now),
                    1 => {
                        policy.ceiling = policy.floor + random.below(500);
                        bound.adopt(policy);
                        None
                    }
                    _ => {
                        let (took, peak) = (random.below(100_000) as u32, random.below(1_000));
                        bound.round(&round(took, peak), now)
                    }
                };
                assert!((policy.floor..=policy.ceiling).contains(&bound.bound()), "{bound:?}");
            }
        }
    }
}
