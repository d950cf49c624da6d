//! Groups, and what must hold between their members.

use crate::config::group::Triggers;
use crate::config::key::reader::{Fields, Reader};
use crate::config::keys as k;
use crate::config::names::{Names, fit_name};
use crate::config::{Group, Hedge, MOST_MEMBERS, Member, Retry, UpstreamId};

/// All of them, in the file's order, which is the order of their ids. `upstreams` are the names that
/// members can have.
pub(super) fn all(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
    upstreams: &Names<'_, UpstreamId>,
) -> Vec<Group> {
    let mut groups = Vec::new();
    for (name, fields) in reader.named(root, &k::GROUPS) {
        fit_name(reader, name, &fields);
        if upstreams.id(&name.text).is_some() {
            let hint = "routes could not tell them apart; rename one";
            reader.fault(name.at, &*fields.path, "is the name of an upstream too", hint);
        }
        let members = members(reader, &fields, upstreams);
        groups.push(Group {
            name: name.text.clone(),
            hedge: hedge(reader, &fields, &members),
            members,
            pick: reader.get(&fields, &k::PICK),
            failover_on: triggers(reader, &fields),
            retry: retry(reader, &fields),
            when_all_ejected: reader.get(&fields, &k::WHEN_ALL_EJECTED),
        });
    }
    groups
}

fn members(
    reader: &mut Reader<'_>,
    group: &Fields<'_>,
    upstreams: &Names<'_, UpstreamId>,
) -> Vec<Member> {
    let faults_before = reader.count();
    let mut members: Vec<Member> = Vec::new();
    for fields in reader.list(group, &k::MEMBERS) {
        let found = upstreams.read(reader, &fields, &k::MEMBER_UPSTREAM);
        let member = Member {
            upstream: found.unwrap_or(UpstreamId(0)),
            weight: reader.get(&fields, &k::WEIGHT),
            tier: reader.get(&fields, &k::TIER),
        };
        let known = |earlier: &Member| earlier.upstream == member.upstream;
        if found.is_some() && members.iter().any(known) {
            let key = k::MEMBER_UPSTREAM.name;
            let hint = "its weight says how much it takes; keep one";
            reader.fault(fields.at(key), fields.path_of(key), "is a member already", hint);
        }
        members.push(member);
    }
    let key = k::MEMBERS.name;
    if members.len() > MOST_MEMBERS {
        let hint = format!("keep {MOST_MEMBERS} at most");
        reader.fault(group.at(key), group.path_of(key), "are too many", hint);
    }
    let idle = members.iter().all(|member| member.weight == 0);
    if idle && group.has(key) && reader.count() == faults_before {
        let hint = "raise the weight of at least one";
        reader.fault(group.at(key), group.path_of(key), "take nothing, all of weight 0", hint);
    }
    members
}

fn retry(reader: &mut Reader<'_>, group: &Fields<'_>) -> Retry {
    let fields = reader.section(group, &k::RETRY);
    let retry = Retry {
        times: reader.get(&fields, &k::RETRY_TIMES),
        pause: reader.get(&fields, &k::RETRY_PAUSE),
        longest_pause: reader.get(&fields, &k::LONGEST_PAUSE),
        budget: reader.get(&fields, &k::RETRY_BUDGET),
    };
    if retry.pause > retry.longest_pause {
        let key = k::RETRY_PAUSE.name;
        let hint = "raise longest_pause";
        reader.fault(fields.at(key), fields.path_of(key), "is longer than longest_pause", hint);
    }
    retry
}

/// What is not to be is not looked at further: other keys of the section may stand there for later.
fn hedge(reader: &mut Reader<'_>, group: &Fields<'_>, members: &[Member]) -> Option<Hedge> {
    let fields = reader.section(group, &k::HEDGE);
    let hedge = Hedge {
        quantile: reader.get(&fields, &k::HEDGE_QUANTILE),
        floor: reader.get(&fields, &k::HEDGE_FLOOR),
        ceiling: reader.get(&fields, &k::HEDGE_CEILING),
        budget: reader.get(&fields, &k::HEDGE_BUDGET),
    };
    if hedge.quantile == 0 {
        return None;
    }
    if hedge.floor > hedge.ceiling {
        let (key, hint) = (k::HEDGE_FLOOR.name, "raise ceiling");
        reader.fault(fields.at(key), fields.path_of(key), "is longer than ceiling", hint);
    }
    if members.iter().filter(|member| member.weight > 0).count() == 1 {
        let (key, hint) = (k::HEDGE_QUANTILE.name, "add a member with a weight, or leave it out");
        reader.fault(fields.at(key), fields.path_of(key), "has nobody else to ask", hint);
    }
    Some(hedge)
}

/// A list of triggers means all that any of them names.
fn triggers(reader: &mut Reader<'_>, group: &Fields<'_>) -> Triggers {
    let written = reader.get_many(group, &k::FAILOVER_ON);
    written.into_iter().fold(Triggers::default(), |all, (_, one)| all.and(one))
}
