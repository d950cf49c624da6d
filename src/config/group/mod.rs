//! `groups`: upstreams that stand in for each other, under a name of the operator's.

pub(super) mod failover_on;
pub(super) mod hedge;
pub(super) mod members;
pub(super) mod pick;
pub(super) mod retry;

use self::failover_on::{FAILOVER_ON, Triggers};
use self::hedge::{HEDGE, Hedge};
use self::members::{MEMBERS, Member};
use self::pick::{PICK, Pick};
use self::retry::{RETRY, Retry};
use super::key::reader::{Fields, Reader};
use super::key::{Key, Section, Shape};
use super::kind::scalar::Choice;
use super::names::{Names, UpstreamId, fit_name};

pub(super) static GROUPS: Section = Section {
    name: "groups",
    shape: Shape::Named,
    required: false,
    doc: "Groups of upstreams that can replace each other, each under a name that routes use.",
    entries: &[&MEMBERS, &PICK, &FAILOVER_ON, &RETRY, &HEDGE, &WHEN_ALL_EJECTED],
};

static WHEN_ALL_EJECTED: Key<Choice<WhenEjected>> = Key::new(
    "when_all_ejected",
    Choice {
        of: &[("ask", WhenEjected::Ask), ("refuse", WhenEjected::Refuse)],
        default: WhenEjected::Ask,
    },
    "What to do while every member is ejected. `ask`: forward requests as if none were. `refuse`: \
     reject them immediately with 503.",
);

/// Upstreams that stand in for each other.
#[derive(Debug, Clone)]
pub struct Group {
    /// The operator's name for it.
    pub name: String,
    /// Who can answer; at least one, [`MOST_MEMBERS`](members::MOST_MEMBERS) at most, no upstream twice.
    pub members: Vec<Member>,
    /// Who is asked first.
    pub pick: Pick,
    /// After which failures the next one is asked, beyond those that prove that nothing was processed.
    pub failover_on: Triggers,
    /// Whether members are asked again once all of them failed.
    pub retry: Retry,
    /// Whether a second member is asked beside one that is late.
    pub hedge: Option<Hedge>,
    /// What happens while every member is ejected.
    pub when_all_ejected: WhenEjected,
}

/// What happens to requests while every member of a group is ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenEjected {
    /// They are sent as if none were: a member that is ill may still answer some.
    Ask,
    /// They are told at once.
    Refuse,
}

/// All of them, in the file's order, which is the order of their ids. `upstreams` are the names that
/// members can have.
pub(super) fn read(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
    upstreams: &Names<'_, UpstreamId>,
) -> Vec<Group> {
    let mut groups = Vec::new();
    for (name, fields) in reader.named(root, &GROUPS) {
        fit_name(reader, name, &fields);
        if upstreams.id(&name.text).is_some() {
            let hint = "a route could not tell which one is meant; rename one of them";
            reader.fault(name.at, &*fields.path, "is also the name of an upstream", hint);
        }
        let members = members::read(reader, &fields, upstreams);
        groups.push(Group {
            name: name.text.clone(),
            hedge: Hedge::read(reader, &fields, &members),
            members,
            pick: reader.get(&fields, &PICK),
            failover_on: Triggers::read(reader, &fields),
            retry: Retry::read(reader, &fields),
            when_all_ejected: reader.get(&fields, &WHEN_ALL_EJECTED),
        });
    }
    groups
}
