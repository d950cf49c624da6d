//! `groups.NAME.members`: the upstreams that stand in for each other.

use crate::config::key::reader::{Fields, Reader};
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::quantity::Count;
use crate::config::names::{Names, UpstreamId, UpstreamName};

/// Members of one group at most: which were asked is one bit each.
pub const MOST_MEMBERS: usize = 64;
/// Shares are told apart to a millionth.
const LARGEST_WEIGHT: u32 = 1_000_000;
/// Nobody has more kinds of upstream than that.
const LAST_TIER: u32 = 63;

pub(super) static MEMBERS: Section = Section {
    name: "members",
    shape: Shape::List,
    required: true,
    doc: "Upstreams of the group, at most 64.",
    entries: &[&UPSTREAM, &WEIGHT, &TIER],
};

static UPSTREAM: Key<UpstreamName> =
    Key::required("upstream", UpstreamName, "Name of the upstream.");

static WEIGHT: Key<Count<u32>> = Key::new(
    "weight",
    // All alike unless told otherwise.
    Count { default: 1, within: 0..=LARGEST_WEIGHT },
    "Share of the tier's requests, relative to the weights of its other members. 0: it receives \
     none.",
);

static TIER: Key<Count<u32>> = Key::new(
    "tier",
    // All in the one tier unless told otherwise.
    Count { default: 0, within: 0..=LAST_TIER },
    "Requests go to the lowest tier; a higher tier is used only when no member of a lower tier is \
     left to try.",
);

/// One upstream's place in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The upstream.
    pub upstream: UpstreamId,
    /// Its share of the tier's requests, beside the others' weights; 0 takes none at all.
    pub weight: u32,
    /// Lower tiers are asked first; a higher one only when no lower one is left.
    pub tier: u32,
}

/// Those of one group.
pub(super) fn read(
    reader: &mut Reader<'_>,
    group: &Fields<'_>,
    upstreams: &Names<'_, UpstreamId>,
) -> Vec<Member> {
    let faults_before = reader.count();
    let mut members: Vec<Member> = Vec::new();
    for fields in reader.list(group, &MEMBERS) {
        let found = upstreams.read(reader, &fields, &UPSTREAM);
        let member = Member {
            upstream: found.unwrap_or(UpstreamId(0)), // any: the fault is noted
            weight: reader.get(&fields, &WEIGHT),
            tier: reader.get(&fields, &TIER),
        };
        let known = |earlier: &Member| earlier.upstream == member.upstream;
        if found.is_some() && members.iter().any(known) {
            let hint = "remove one of them; to change its share, set `weight`";
            reader.fault_in(&fields, &UPSTREAM, "is already a member of this group", hint);
        }
        members.push(member);
    }
    if members.len() > MOST_MEMBERS {
        let hint = format!("write at most {MOST_MEMBERS}");
        reader.fault_in(group, &MEMBERS, "has too many members", hint);
    }
    let idle = members.iter().all(|member| member.weight == 0);
    if idle && group.has(MEMBERS.name) && reader.count() == faults_before {
        let hint = "set the weight of at least one member above 0";
        reader.fault_in(
            group,
            &MEMBERS,
            "has only members of weight 0, which receive no requests",
            hint,
        );
    }
    members
}
