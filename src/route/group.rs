//! What a route leads to, as a worker needs it, and one request's way through it.

use std::cell::Cell;

use http::HeaderMap;

use super::pick::{By, Candidate, hash, mix, pick, spread};
use crate::config::{self, Config, Pick, Target, Triggers, UpstreamId};

/// One worker's groups: those that the operator named, and each upstream as a group of its own.
#[derive(Debug)]
pub struct Groups {
    named: Vec<Group>,
    single: Vec<Group>,
}

/// Upstreams of which one answers.
#[derive(Debug)]
pub struct Group {
    /// Named by the operator: its answers say which upstream they are from.
    pub is_named: bool,
    /// After which failures the next one is asked, beyond those that prove that nothing was processed.
    pub failover_on: Triggers,
    pick: Pick,
    members: Vec<UpstreamId>,
    candidates: Vec<Candidate>,
    /// Requests so far, from a beginning of the worker's own.
    turn: Cell<u64>,
}

impl Groups {
    /// Those of a configuration, for the `worker`-th worker.
    pub fn new(config: &Config, worker: usize) -> Self {
        let name = |id: UpstreamId| config.upstreams.get(id.0).map_or("", |up| up.name.as_str());
        let single = (0..config.upstreams.len()).map(|id| Group {
            is_named: false,
            failover_on: Triggers::default(),
            pick: Pick::Weighted,
            members: vec![UpstreamId(id)],
            candidates: vec![Candidate { weight: 1, tier: 0, seed: 0 }],
            turn: Cell::new(0),
        });
        let named = config.groups.iter().map(|group| Group::new(group, worker, name));
        Self { named: named.collect(), single: single.collect() }
    }

    /// What a route leads to. `None` for a target that the configuration does not have.
    pub fn get(&self, target: Target) -> Option<&Group> {
        match target {
            Target::Upstream(id) => self.single.get(id.0),
            Target::Group(id) => self.named.get(id.0),
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
            is_named: true,
            failover_on: group.failover_on.clone(),
            pick: group.pick.clone(),
            members: group.members.iter().map(|member| member.upstream).collect(),
            candidates: group.members.iter().map(candidate).collect(),
            // Workers that begin alike would send their first requests to the same member.
            turn: Cell::new(mix(worker as u64)),
        }
    }

    /// A request sets out, with these headers.
    pub fn set_out(&self, headers: &HeaderMap) -> Way<'_> {
        let sticks = match &self.pick {
            Pick::Sticky(header) => headers.get(header),
            Pick::Weighted | Pick::LeastLoaded => None,
        };
        let (by, point) = match (&self.pick, sticks) {
            (_, Some(value)) => (By::Hash, hash(value.as_bytes())),
            (Pick::LeastLoaded, None) => (By::Load, self.next_point()),
            (_, None) => (By::Weight, self.next_point()),
        };
        Way { group: self, by, point, asked: 0 }
    }

    fn next_point(&self) -> u64 {
        spread(self.turn.replace(self.turn.get().wrapping_add(1)))
    }
}

/// One request's way through a group: each member is asked once.
#[derive(Debug)]
pub struct Way<'g> {
    group: &'g Group,
    by: By,
    point: u64,
    /// Bit n: member n.
    asked: u64,
}

impl Way<'_> {
    /// Who is to be asked next; `load` counts what an upstream has under way.
    pub fn next(&mut self, load: impl Fn(UpstreamId) -> u64) -> Option<UpstreamId> {
        let Group { members, candidates, .. } = self.group;
        let load = |nth: usize| load(members[nth]);
        let nth = pick(candidates, self.asked, self.by, self.point, load)?;
        self.asked |= 1 << nth;
        if self.by != By::Hash {
            // The point lies in the stretch of the one that failed. Drawn again, it falls on the
            // others by their weights, and not always on the same neighbour.
            self.point = mix(self.point);
        }
        Some(members[nth])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn group(pick: Pick, weights: &[u32]) -> Group {
        let members = weights.iter().enumerate();
        let members = members.map(|(id, weight)| config::Member {
            upstream: UpstreamId(id),
            weight: *weight,
            tier: 0,
        });
        let group = config::Group {
            name: "g".into(),
            members: members.collect(),
            pick,
            failover_on: Triggers::default(),
        };
        Group::new(&group, 0, |id| ["a", "b", "c"][id.0])
    }

    fn way(group: &Group, headers: &HeaderMap) -> Vec<usize> {
        let mut way = group.set_out(headers);
        std::iter::from_fn(|| way.next(|_| 0)).map(|id| id.0).collect()
    }

    #[test]
    fn each_member_is_asked_once() {
        let header = http::header::AUTHORIZATION;
        for pick in [Pick::Weighted, Pick::LeastLoaded, Pick::Sticky(header)] {
            let group = group(pick, &[5, 1, 1]);
            for _ in 0..100 {
                let mut all = way(&group, &HeaderMap::new());
                all.sort_unstable();
                assert_eq!(all, [0, 1, 2]);
            }
        }
    }

    #[test]
    fn who_comes_second_is_by_weight_too() {
        let group = group(Pick::Weighted, &[8, 1, 1]);
        let ways = (0..2_000).map(|_| way(&group, &HeaderMap::new()));
        let seconds: Vec<_> = ways.filter(|way| way[0] == 0).map(|way| way[1]).collect();
        let ones = seconds.iter().filter(|second| **second == 1).count();
        assert!(
            ones.abs_diff(seconds.len() / 2) < seconds.len() / 10,
            "{ones} of {}",
            seconds.len()
        );
    }

    #[test]
    fn the_same_value_goes_the_same_way_and_others_go_elsewhere() {
        let group = group(Pick::Sticky(http::HeaderName::from_static("x-session")), &[1, 1, 1]);
        let way_of = |session: u32| {
            let mut headers = HeaderMap::new();
            headers.insert("x-session", HeaderValue::from(session));
            way(&group, &headers)
        };
        let firsts: Vec<_> = (0..60).map(|session| way_of(session)[0]).collect();
        assert!((0..60).all(|session| way_of(session) == way_of(session)));
        assert!(
            (0..3).all(|id| firsts.iter().filter(|first| **first == id).count() > 8),
            "{firsts:?}"
        );
    }
}
