//! Who of several is asked: pure, of integers and one logarithm.
//!
//! A request brings a `point`, a number that stands for its place between 0 and 1. By weight, the points
//! of requests that follow each other are spread evenly (see [`spread`]), so that shares are met within a
//! few requests and not on average only. Sticky, the point is the header's hash.

/// One member as the pick sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) weight: u32,
    pub(super) tier: u32,
    /// [`hash`] of its name: what sticks to it stays where it is when others come and go.
    pub(super) seed: u64,
}

/// Index into a group's members, here and in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemberId(pub(super) usize);

/// Some of a group's members; bit n: member n, of [`MOST_MEMBERS`](crate::config::MOST_MEMBERS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemberSet(pub(super) u64);

impl MemberSet {
    pub(super) const EMPTY: Self = Self(0);

    pub(super) fn of(members: impl Iterator<Item = MemberId>) -> Self {
        members.fold(Self::EMPTY, Self::with)
    }

    #[must_use]
    pub(super) fn with(self, member: MemberId) -> Self {
        Self(self.0 | 1 << member.0)
    }

    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn has(self, member: MemberId) -> bool {
        self.0 >> member.0 & 1 != 0
    }
}

/// How members of a tier are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Weight,
    Load,
    Hash,
}

/// All of a group's.
pub(super) fn ids(members: &[Candidate]) -> impl Iterator<Item = MemberId> + Clone + use<> {
    (0..members.len()).map(MemberId)
}

/// The member to ask: of the lowest tier in which one with a weight is not `out`.
pub(super) fn pick(
    members: &[Candidate],
    out: MemberSet,
    by: By,
    point: u64,
    load: impl Fn(MemberId) -> u64,
) -> Option<MemberId> {
    let of = |id: MemberId| members[id.0];
    let may = |id: &MemberId| !out.has(*id) && of(*id).weight > 0;
    let tier = ids(members).filter(may).map(|id| of(id).tier).min()?;
    let those = || ids(members).filter(may).filter(|id| of(*id).tier == tier);
    match by {
        By::Weight => by_weight(members, those(), point),
        By::Load => {
            // Loads beside weights as fractions, compared without dividing. One more than there are
            // now, or the idle ones would be alike whatever their weights.
            let less = |a: MemberId, b: MemberId| {
                let crossed = |id: MemberId, other: MemberId| {
                    u128::from(load(id) + 1) * u128::from(of(other).weight)
                };
                crossed(a, b).cmp(&crossed(b, a))
            };
            let least = those().min_by(|a, b| less(*a, *b))?;
            by_weight(members, those().filter(|id| less(*id, least).is_eq()), point)
        }
        By::Hash => {
            let late = |id: MemberId| lateness(of(id), point);
            those().min_by(|a, b| late(*a).total_cmp(&late(*b)))
        }
    }
}

/// Each holds a stretch of the line from 0 to 1, as long as its weight's share.
fn by_weight(
    members: &[Candidate],
    those: impl Iterator<Item = MemberId> + Clone,
    point: u64,
) -> Option<MemberId> {
    let weight = |id: MemberId| u64::from(members[id.0].weight);
    let total: u64 = those.clone().map(weight).sum();
    let mut at = ((u128::from(point) * u128::from(total)) >> 64) as u64;
    those.into_iter().find(|id| {
        let weight = weight(*id);
        let here = at < weight;
        at = at.saturating_sub(weight);
        here
    })
}

/// Weighted rendezvous hashing: each member draws the time of its arrival from an exponential
/// distribution whose rate is its weight, and the first to arrive wins. So each wins its weight's share
/// of all points, and one that goes leaves everybody else's where they are.
fn lateness(member: Candidate, point: u64) -> f64 {
    // 53 bits and a half, between 0 and 1 and never either.
    let drawn = ((mix(point ^ member.seed) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -drawn.ln() / f64::from(member.weight)
}

/// The `nth` point of an even spread: multiples of the golden ratio, of all sequences the one in which
/// any beginning leaves the smallest gaps (Knuth, TAOCP 6.4, theorem S).
pub(super) fn spread(nth: u64) -> u64 {
    nth.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Every bit of the result depends on every bit of `x` (the finalizer of splitmix64, Steele et al. 2014).
pub(super) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The same in every worker, process and version: FNV-1a, then mixed.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    mix(bytes.iter().fold(0xCBF2_9CE4_8422_2325, fnv))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(weights_and_tiers: &[(u32, u32)]) -> Vec<Candidate> {
        let member = |(nth, (weight, tier)): (usize, &(u32, u32))| Candidate {
            weight: *weight,
            tier: *tier,
            seed: hash(format!("member-{nth}").as_bytes()),
        };
        weights_and_tiers.iter().enumerate().map(member).collect()
    }

    /// `out`: bit n stands for member n.
    fn who(members: &[Candidate], out: u64, by: By, point: u64) -> Option<usize> {
        pick(members, MemberSet(out), by, point, |_| 0).map(|id| id.0)
    }

    fn counts(
        members: &[Candidate],
        out: u64,
        by: By,
        points: impl Iterator<Item = u64>,
    ) -> Vec<u64> {
        let mut counts = vec![0; members.len()];
        for point in points {
            counts[who(members, out, by, point).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn weights_are_met_within_a_few_requests_wherever_one_begins_to_count() {
        let members = members(&[(90, 0), (9, 0), (1, 0)]);
        for start in [0, 17, 1_000_003] {
            let counts = counts(&members, 0, By::Weight, (start..start + 1_000).map(spread));
            for (count, share) in counts.iter().zip([900, 90, 10_u64]) {
                assert!(count.abs_diff(share) <= 3, "{counts:?}");
            }
        }
    }

    #[test]
    fn a_hash_gives_each_its_share_too() {
        let members = members(&[(3, 0), (1, 0)]);
        let counts = counts(&members, 0, By::Hash, (0..10_000_u64).map(|n| hash(&n.to_be_bytes())));
        assert!(counts[0].abs_diff(7_500) < 200, "{counts:?}");
    }

    #[test]
    fn what_sticks_to_others_stays_when_one_goes() {
        let members = members(&[(1, 0), (1, 0), (2, 0), (1, 0)]);
        let mut moved = 0;
        for n in 0..1_000_u64 {
            let point = hash(&n.to_be_bytes());
            let before = who(&members, 0, By::Hash, point).unwrap();
            let after = who(&members, 0b100, By::Hash, point).unwrap();
            assert!(before == 2 || before == after, "{n} moved from {before} to {after}");
            moved += u32::from(before == 2);
        }
        assert!((300..500).contains(&moved), "two fifths were there: {moved}");
    }

    #[test]
    fn a_tier_is_asked_only_when_none_before_it_is_left() {
        let members = members(&[(1, 1), (1, 0), (1, 0), (1, 7)]);
        let who = |out| who(&members, out, By::Weight, 0);
        assert_eq!(who(0), Some(1));
        assert_eq!(who(0b0010), Some(2));
        assert_eq!(who(0b0110), Some(0));
        assert_eq!(who(0b0111), Some(3));
        assert_eq!(who(0b1111), None);
    }

    #[test]
    fn a_weight_of_nothing_takes_nothing() {
        let members = members(&[(0, 0), (5, 1)]);
        for by in [By::Weight, By::Load, By::Hash] {
            assert_eq!(counts(&members, 0, by, (0..100).map(spread)), [0, 100]);
            assert_eq!(who(&members, 0b10, by, 0), None);
        }
    }

    #[test]
    fn the_least_loaded_for_its_weight_is_asked() {
        let members = members(&[(1, 0), (4, 0)]);
        let who = |loads: [u64; 2]| {
            pick(&members, MemberSet::EMPTY, By::Load, 0, |id| loads[id.0]).unwrap().0
        };
        assert_eq!(who([0, 0]), 1, "it can carry more");
        assert_eq!(who([1, 6]), 1);
        assert_eq!(who([1, 8]), 0);
        assert_eq!(who([u64::from(u32::MAX), 0]), 1);
    }

    #[test]
    fn equal_loads_are_shared_by_weight() {
        let members = members(&[(1, 0), (1, 0)]);
        let counts = counts(&members, 0, By::Load, (0..100).map(spread));
        assert!(counts[0].abs_diff(50) <= 1, "{counts:?}");
    }
}
