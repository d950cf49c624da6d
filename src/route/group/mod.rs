//! What a route leads to, as a worker needs it.

mod selection;

pub use selection::{HedgeTarget, Selection};

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Instant;

use http::HeaderMap;

use super::hedge::Hedging;
use super::pick::{By, Candidate, MemberId, MemberSet, hash, ids, mix, spread};
use crate::algo::budget::Budget;
use crate::config::{self, Config, Pick, Retry, Target, Triggers, UpstreamId, WhenEjected};

/// One worker's groups: those that the operator named, and each upstream as a group of its own.
#[derive(Debug)]
pub struct Groups {
    /// By [`GroupId`](config::GroupId).
    named: Vec<Group>,
    /// By [`UpstreamId`].
    single: Vec<Group>,
}

/// Upstreams of which one answers.
#[derive(Debug)]
pub struct Group {
    /// The operator's name for it; empty for an upstream alone.
    name: String,
    /// Named by the operator: its answers say which upstream they are from.
    pub is_named: bool,
    /// After which failures the next one is asked, beyond those that prove that nothing was processed.
    pub failover_on: Triggers,
    /// When a second member is asked beside a late one. Boxed: most groups have none.
    pub hedging: Option<Box<Hedging>>,
    pick: Pick,
    retry: Retry,
    when_all_ejected: WhenEjected,
    budget: Cell<Budget>,
    /// What pauses are drawn from; begun at random, so that proxies that fail together do not come back
    /// together.
    dice: Cell<u64>,
    /// By [`MemberId`], as the candidates.
    members: Vec<UpstreamId>,
    candidates: Vec<Candidate>,
    /// Requests so far, from a beginning of the worker's own.
    turn: Cell<u64>,
}

impl Groups {
    /// Those of a configuration, for the `worker`-th worker.
    pub fn new(config: &Config, worker: usize) -> Self {
        let name = |id: UpstreamId| config.upstream(id).map_or("", |up| up.name.as_str());
        let single = config.upstreams_by_id().map(|(id, _)| Group {
            name: String::new(),
            is_named: false,
            failover_on: Triggers::default(),
            hedging: None,
            pick: Pick::Weighted,
            retry: Retry { times: 0, budget: 0, ..Retry::default() },
            when_all_ejected: WhenEjected::Ask,
            budget: Cell::new(Budget::new(0)),
            dice: Cell::new(0),
            members: vec![id],
            candidates: vec![Candidate { weight: 1, tier: 0, seed: 0 }],
            turn: Cell::new(0),
        });
        let named = config.groups.iter().map(|group| Group::new(group, worker, name));
        Self { named: named.collect(), single: single.collect() }
    }

    /// Goes on where `before` is: groups of the same name keep their turn, what they saved for retries and hedges,
    /// and what they know of first bytes.
    pub fn succeed(&self, before: &Groups) {
        for group in &self.named {
            if let Some(old) = before.named.iter().find(|old| old.name == group.name) {
                group.turn.set(old.turn.get());
                group.budget.set(group.budget.get().after(old.budget.get()));
                if let (Some(hedging), Some(old)) = (&group.hedging, &old.hedging) {
                    hedging.succeed(old);
                }
            }
        }
    }

    /// What a route leads to. `None` where that is for the request's model to say, and for a target that the
    /// configuration does not have.
    pub fn get(&self, target: Target) -> Option<&Group> {
        match target {
            Target::Upstream(id) => self.single.get(id.0),
            Target::Group(id) => self.named.get(id.0),
            Target::ByModel | Target::Events | Target::Streams => None,
        }
    }
}

impl Group {
    fn new<'a>(group: &config::Group, worker: usize, name: impl Fn(UpstreamId) -> &'a str) -> Self {
        let candidate = |member: &config::Member| Candidate {
            weight: member.weight,
            tier: member.tier,
            seed: hash(name(member.upstream).as_bytes()),
        };
        Self {
            name: group.name.clone(),
            is_named: true,
            failover_on: group.failover_on.clone(),
            hedging: group.hedge.map(|hedge| Box::new(Hedging::new(hedge, Instant::now()))),
            pick: group.pick.clone(),
            retry: group.retry,
            when_all_ejected: group.when_all_ejected,
            budget: Cell::new(Budget::new(group.retry.budget)),
            dice: Cell::new(RandomState::new().build_hasher().finish()),
            members: group.members.iter().map(|member| member.upstream).collect(),
            candidates: group.members.iter().map(candidate).collect(),
            // Workers that begin alike would send their first requests to the same member.
            turn: Cell::new(mix(worker as u64)),
        }
    }

    /// A request sets out, with these headers.
    pub fn select(&self, headers: &HeaderMap) -> Selection<'_> {
        let sticks = match &self.pick {
            Pick::Sticky(header) => headers.get(header),
            Pick::Weighted | Pick::LeastLoaded => None,
        };
        let (by, point) = match (&self.pick, sticks) {
            (_, Some(value)) => (By::Hash, hash(value.as_bytes())),
            (Pick::LeastLoaded, None) => (By::Load, self.next_point()),
            (_, None) => (By::Weight, self.next_point()),
        };
        let mut budget = self.budget.get();
        budget.earn();
        self.budget.set(budget);
        if let Some(hedging) = &self.hedging {
            hedging.earn();
        }
        Selection::new(self, by, point)
    }

    /// The other members.
    pub fn peers(&self, of: UpstreamId) -> impl Iterator<Item = UpstreamId> {
        self.members.iter().copied().filter(move |member| *member != of)
    }

    /// None where all are and the operator wants them asked all the same.
    fn ejected(&self, allowed: impl Fn(UpstreamId) -> bool) -> MemberSet {
        let (all, ejected) = (MemberSet::of(self.takers()), self.not_allowed(allowed));
        let ask = ejected == all && self.when_all_ejected == WhenEjected::Ask;
        if ask { MemberSet::EMPTY } else { ejected }
    }

    fn not_allowed(&self, allowed: impl Fn(UpstreamId) -> bool) -> MemberSet {
        MemberSet::of(self.takers().filter(|id| !allowed(self.upstream(*id))))
    }

    /// Members that take anything.
    fn takers(&self) -> impl Iterator<Item = MemberId> {
        ids(&self.candidates).filter(|id| self.candidates[id.0].weight > 0)
    }

    fn upstream(&self, member: MemberId) -> UpstreamId {
        self.members[member.0]
    }

    fn member(&self, upstream: UpstreamId) -> Option<MemberId> {
        self.members.iter().position(|member| *member == upstream).map(MemberId)
    }

    fn afford_retry(&self) -> bool {
        let mut budget = self.budget.get();
        let afforded = budget.spend();
        self.budget.set(budget);
        afforded
    }

    fn draw(&self) -> u64 {
        mix(spread(self.dice.replace(self.dice.get().wrapping_add(1))))
    }

    fn next_point(&self) -> u64 {
        spread(self.turn.replace(self.turn.get().wrapping_add(1)))
    }
}
