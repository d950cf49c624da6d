//! One request's way through a group.

use std::time::Instant;

use super::Group;
use crate::algo::backoff::backoff;
use crate::config::{Retry, UpstreamId, WhenEjected};
use crate::record::Prevented;
use crate::route::pick::{By, MemberId, MemberSet, ids, mix, pick};

/// One request's way through a group: each member is asked once, and then, if the operator wants it,
/// each again after a pause.
#[derive(Debug)]
pub struct Selection<'g> {
    group: &'g Group,
    by: By,
    point: u64,
    /// Who is not to be asked any more in this round.
    out: MemberSet,
    /// Rounds that are over.
    round: u32,
    /// Members that asked to be left alone, and until when.
    resting: Vec<(MemberId, Instant)>,
}

/// A member that could be asked beside another.
#[derive(Debug, Clone, Copy)]
pub struct HedgeTarget(MemberId);

impl<'g> Selection<'g> {
    /// From a member that `by` and `point` say on to the others.
    pub(super) fn new(group: &'g Group, by: By, point: u64) -> Self {
        Self { group, by, point, out: MemberSet::EMPTY, round: 0, resting: Vec::new() }
    }
}

impl Selection<'_> {
    /// Who is to be asked next. `load` counts what an upstream has under selection; who is not `allowed` is left
    /// out, unless nobody is and the operator wants them asked all the same.
    pub fn next(
        &mut self,
        allowed: impl Fn(UpstreamId) -> bool,
        load: impl Fn(UpstreamId) -> u64,
    ) -> Option<UpstreamId> {
        let id = self.choose(self.group.ejected(allowed), load)?;
        Some(self.take(id))
    }

    /// Who is to be asked where all that were allowed failed without a word: somebody who was not, where the
    /// operator wants such asked rather than nobody. What ejected it may be over.
    pub fn last_resort(&mut self, load: impl Fn(UpstreamId) -> u64) -> Option<UpstreamId> {
        if self.group.when_all_ejected != WhenEjected::Ask {
            return None;
        }
        let id = self.choose(MemberSet::EMPTY, load)?;
        Some(self.take(id))
    }

    /// Who could be asked beside the one that is asked now: as [`Selection::next`], but nobody that is not
    /// `allowed`, and nobody is taken yet.
    pub fn hedge_target(
        &self,
        allowed: impl Fn(UpstreamId) -> bool,
        load: impl Fn(UpstreamId) -> u64,
    ) -> Option<HedgeTarget> {
        self.choose(self.group.not_allowed(allowed), load).map(HedgeTarget)
    }

    /// That one is asked.
    pub fn take_hedge_target(&mut self, HedgeTarget(id): HedgeTarget) -> UpstreamId {
        self.take(id)
    }

    fn choose(&self, ejected: MemberSet, load: impl Fn(UpstreamId) -> u64) -> Option<MemberId> {
        let load = |id: MemberId| load(self.group.upstream(id));
        pick(&self.group.candidates, self.out.and(ejected), self.by, self.point, load)
    }

    fn take(&mut self, id: MemberId) -> UpstreamId {
        self.out = self.out.with(id);
        if self.by != By::Hash {
            // The point lies in the stretch of the one that failed. Drawn again, it falls on the
            // others by their weights, and not always on the same neighbour.
            self.point = mix(self.point);
        }
        self.group.upstream(id)
    }

    /// A member that was asked wants no request before `until`.
    pub fn rest(&mut self, who: UpstreamId, until: Instant) {
        if self.group.retry.times > 0
            && let Some(id) = self.group.member(who)
        {
            self.resting.push((id, until));
        }
    }

    /// All members failed: when to ask again those that are `allowed` and may then be asked. `None` where
    /// the operator wants no more of it. `end` is the end of the client's own time.
    ///
    /// # Errors
    /// What stands against it.
    pub fn again(
        &mut self,
        allowed: impl Fn(UpstreamId) -> bool,
        now: Instant,
        end: Option<Instant>,
    ) -> Result<Option<Instant>, Prevented> {
        let Retry { times, pause, longest_pause, .. } = self.group.retry;
        if self.round >= times {
            return Ok(None);
        }
        let pause = backoff(pause, longest_pause, self.round, self.group.draw());
        let ejected = self.group.ejected(allowed);
        let asked = self.group.takers().filter(|id| !ejected.has(*id));
        let free = asked.map(|id| self.rests_until(id).unwrap_or(now)).min().unwrap_or(now);
        let at = (now + pause).max(free);
        if at > now + longest_pause {
            return Err(Prevented::RetryAfter);
        }
        if end.is_some_and(|end| at >= end) {
            return Err(Prevented::Deadline);
        }
        if !self.group.afford_retry() {
            return Err(Prevented::Budget);
        }
        self.round += 1;
        let rests = |id: &MemberId| self.rests_until(*id).is_some_and(|until| until > at);
        self.out = MemberSet::of(ids(&self.group.candidates).filter(rests));
        Ok(Some(at))
    }

    fn rests_until(&self, id: MemberId) -> Option<Instant> {
        self.resting.iter().filter(|(who, _)| *who == id).map(|(_, until)| *until).max()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::config::{self, Pick, Triggers};

    fn group(pick: Pick, weights: &[u32]) -> Group {
        retrying(pick, weights, Retry::default())
    }

    fn retrying(pick: Pick, weights: &[u32], retry: Retry) -> Group {
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
            retry,
            hedge: None,
            when_all_ejected: WhenEjected::Refuse,
        };
        Group::new(&group, 0, |id| ["a", "b", "c"][id.0])
    }

    fn selection(group: &Group, headers: &HeaderMap) -> Vec<usize> {
        let mut selection = group.select(headers);
        std::iter::from_fn(|| selection.next(|_| true, |_| 0)).map(|id| id.0).collect()
    }

    #[test]
    fn each_member_is_asked_once() {
        let header = http::header::AUTHORIZATION;
        for pick in [Pick::Weighted, Pick::LeastLoaded, Pick::Sticky(header)] {
            let group = group(pick, &[5, 1, 1]);
            for _ in 0..100 {
                let mut all = selection(&group, &HeaderMap::new());
                all.sort_unstable();
                assert_eq!(all, [0, 1, 2]);
            }
        }
    }

    #[test]
    fn who_comes_second_is_by_weight_too() {
        let group = group(Pick::Weighted, &[8, 1, 1]);
        let ways = (0..2_000).map(|_| selection(&group, &HeaderMap::new()));
        let seconds: Vec<_> =
            ways.filter(|selection| selection[0] == 0).map(|selection| selection[1]).collect();
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
            selection(&group, &headers)
        };
        let firsts: Vec<_> = (0..60).map(|session| way_of(session)[0]).collect();
        assert!((0..60).all(|session| way_of(session) == way_of(session)));
        assert!(
            (0..3).all(|id| firsts.iter().filter(|first| **first == id).count() > 8),
            "{firsts:?}"
        );
    }

    #[test]
    fn who_is_asked_beside_another_is_well_and_is_not_asked_again() {
        let mut group = group(Pick::Weighted, &[1, 1, 1]);
        group.when_all_ejected = WhenEjected::Ask;
        let nobody = HeaderMap::new();
        let mut selection = group.select(&nobody);
        let first = selection.next(|_| true, |_| 0).unwrap();
        assert!(
            selection.hedge_target(|_| false, |_| 0).is_none(),
            "though it is asked when all are out"
        );
        let beside = selection.hedge_target(|_| true, |_| 0).unwrap();
        let second = selection.take_hedge_target(beside);
        let third = selection.next(|_| true, |_| 0).unwrap();
        assert!(second != first && third != first && third != second);
        assert!(selection.hedge_target(|_| true, |_| 0).is_none());
    }

    const TWICE: Retry = Retry {
        times: 2,
        pause: Duration::from_millis(100),
        longest_pause: Duration::from_secs(2),
        budget: 100,
    };

    /// One round: who was asked, each of whom then wants a rest of so many seconds from `start`.
    fn round(selection: &mut Selection<'_>, start: Instant, rests: [u64; 2]) -> Vec<usize> {
        let mut asked = Vec::new();
        while let Some(id) = selection.next(|_| true, |_| 0) {
            asked.push(id.0);
            selection.rest(id, start + Duration::from_secs(rests[id.0]));
        }
        asked.sort_unstable();
        asked
    }

    #[test]
    fn all_are_asked_again_after_a_pause_as_often_as_the_operator_wants() {
        let group = retrying(Pick::Weighted, &[1, 1], TWICE);
        let (mut selection, now) = (group.select(&HeaderMap::new()), Instant::now());
        for most in [100, 200] {
            assert_eq!(round(&mut selection, now, [0, 0]), [0, 1]);
            let at = selection.again(|_| true, now, None).unwrap().unwrap();
            assert!(at >= now && at <= now + Duration::from_millis(most));
        }
        assert_eq!(round(&mut selection, now, [0, 0]), [0, 1]);
        assert_eq!(selection.again(|_| true, now, None), Ok(None));
    }

    #[test]
    fn who_wants_to_rest_is_left_alone_until_then() {
        let group = retrying(Pick::Weighted, &[1, 1], TWICE);
        let (mut selection, now) = (group.select(&HeaderMap::new()), Instant::now());
        round(&mut selection, now, [1, 7]);
        assert_eq!(selection.again(|_| true, now, None), Ok(Some(now + Duration::from_secs(1))));
        assert_eq!(round(&mut selection, now, [8, 0]), [0], "the other still rests");
        let later = now + Duration::from_secs(1);
        assert_eq!(
            selection.again(|_| true, later, None),
            Err(Prevented::RetryAfter),
            "in 6 s and in 7 s"
        );
    }

    #[test]
    fn a_member_that_is_out_is_not_what_a_retry_waits_for() {
        let group = retrying(Pick::Weighted, &[1, 1], TWICE);
        let (mut selection, now) = (group.select(&HeaderMap::new()), Instant::now());
        let well = |id: UpstreamId| id.0 == 1;
        assert_eq!(selection.next(well, |_| 0), Some(UpstreamId(1)));
        selection.rest(UpstreamId(1), now + Duration::from_secs(1));
        let at = selection.again(well, now, None);
        assert_eq!(at, Ok(Some(now + Duration::from_secs(1))), "member 0, who is free, is out");
        assert_eq!(selection.next(well, |_| 0), Some(UpstreamId(1)));
    }

    #[test]
    fn a_client_s_time_and_the_budget_stand_against_it() {
        let poor = Retry { budget: 0, ..TWICE };
        let group = retrying(Pick::Weighted, &[1, 1], poor);
        let (mut selection, now) = (group.select(&HeaderMap::new()), Instant::now());
        round(&mut selection, now, [1, 1]);
        let end = now + Duration::from_millis(999);
        assert_eq!(selection.again(|_| true, now, Some(end)), Err(Prevented::Deadline));
        assert_eq!(selection.again(|_| true, now, None), Err(Prevented::Budget));
    }
}
