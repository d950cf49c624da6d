//! Who is measured when: machines are shared and drift, so the targets take turns in slices of
//! seconds, in an order drawn anew for each round.

use std::time::Duration;

use crate::load::Plan;
use crate::load::schedule::{Arrivals, Schedule, Stage};
use crate::load::worker::Pass;
use crate::random::Random;

/// The pattern of a comparison.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// How many targets.
    pub targets: usize,
    /// How many slices each has.
    pub rounds: usize,
    /// Length of a slice.
    pub slice: Duration,
    /// Uncounted slice of each target before the first round.
    pub warm_up: Duration,
    /// Uncounted beginning of each slice, in which caches turn to the new target.
    pub settle: Duration,
    /// Requests per second of an open loop; `None` for a closed one.
    pub rate: Option<f64>,
    /// How arrivals are spaced.
    pub arrivals: Arrivals,
    /// Seed of orders and arrivals.
    pub seed: u64,
}

/// The passes of the whole comparison. Slices are numbered from 1, round by round and alike for
/// all targets; 0 is the warm-up. `plan` gives all but schedule and times.
pub fn rotate(rotation: &Rotation, plan: &Plan) -> Vec<Pass> {
    let mut random = Random::new(rotation.seed);
    let mut passes = Vec::new();
    for target in 0..rotation.targets {
        let (span, seed) = (rotation.warm_up, rotation.seed);
        let plan = Plan { warm_up: Duration::MAX, ..slice(rotation, plan, span, seed) };
        passes.push(Pass { target, slice: 0, plan });
    }
    for round in 1..=rotation.rounds {
        // The same arrivals for all targets of a round.
        let seed = random.bits();
        let span = rotation.slice + rotation.settle;
        let plan = Plan { warm_up: rotation.settle, ..slice(rotation, plan, span, seed) };
        for target in shuffled(rotation.targets, &mut random) {
            passes.push(Pass { target, slice: round, plan: plan.clone() });
        }
    }
    passes
}

fn slice(rotation: &Rotation, plan: &Plan, span: Duration, seed: u64) -> Plan {
    let schedule = match rotation.rate {
        Some(rate) => {
            Schedule::open(vec![Stage::constant(span, rate)], rotation.arrivals, None, seed)
        }
        None => Schedule::closed(None),
    };
    Plan { schedule, until: Some(span), ..plan.clone() }
}

fn shuffled(count: usize, random: &mut Random) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, random.below(last + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::SendOptions;

    #[test]
    fn every_target_has_one_slice_in_every_round_and_orders_differ() {
        let rotation = Rotation {
            targets: 3,
            rounds: 20,
            slice: Duration::from_secs(1),
            warm_up: Duration::from_secs(1),
            settle: Duration::from_millis(100),
            rate: Some(10.0),
            arrivals: Arrivals::Poisson,
            seed: 5,
        };
        let plan = Plan {
            schedule: Schedule::closed(None),
            slots: 7,
            until: None,
            warm_up: Duration::ZERO,
            think: Duration::ZERO,
            options: SendOptions::default(),
            slow: None,
        };
        let passes = rotate(&rotation, &plan);
        assert_eq!(passes.len(), 63);
        assert!(
            passes[..3].iter().all(|pass| pass.slice == 0 && pass.plan.warm_up == Duration::MAX)
        );
        let mut orders = std::collections::BTreeSet::new();
        for (round, passes) in passes[3..].chunks(3).enumerate() {
            let mut order: Vec<usize> = passes.iter().map(|pass| pass.target).collect();
            assert!(passes.iter().all(|pass| pass.slice == round + 1));
            let due = |pass: &Pass| pass.plan.schedule.clone().collect::<Vec<_>>();
            assert_eq!(due(&passes[0]), due(&passes[2]), "paired within the round");
            orders.insert(order.clone());
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2]);
        }
        assert!(orders.len() > 2);
    }
}
