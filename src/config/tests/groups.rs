//! Groups: what they mean and what is refused.

use super::World;
use crate::config::{
    Config, Group, GroupId, Hedge, Member, Pick, Retry, Target, UpstreamId, WhenEjected, describe,
};

/// Two upstreams, a group with these lines (line 4 on, indented by four) and a route to it.
fn text(lines: &str) -> String {
    format!(
        "upstreams: {{ a: {{ url: http://a }}, b: {{ url: http://b }} }}\n\
         groups:\n  g:\n{lines}routes: [{{ path: /, upstream: g }}]\n"
    )
}

const MEMBERS: &str = "    members: [{ upstream: a }, { upstream: b }]\n";

fn read(lines: &str) -> Config {
    World::default().read(&text(lines)).unwrap()
}

fn group(line: &str) -> Group {
    read(&format!("{MEMBERS}    {line}\n")).groups.remove(0)
}

#[track_caller]
fn assert_only_fault(lines: &str, expected: &str) {
    assert_eq!(World::default().faults(&text(lines)), [expected], "in:\n{lines}");
}

#[test]
fn a_route_leads_to_a_group_by_the_same_key() {
    let config = read(
        "    members:\n      - { upstream: b, weight: 9 }\n      - { upstream: a, tier: 2 }\n",
    );
    assert_eq!(config.routes[0].target, Target::Group(GroupId(0)));
    let members = [
        Member { upstream: UpstreamId(1), weight: 9, tier: 0 },
        Member { upstream: UpstreamId(0), weight: 1, tier: 2 },
    ];
    assert_eq!(config.groups[0].members, members);
}

#[test]
fn a_pick_is_by_weight_by_load_or_by_a_header() {
    assert_eq!(group("pick: weighted").pick, Pick::Weighted);
    assert_eq!(group("pick: least_loaded").pick, Pick::LeastLoaded);
    let sticky = |name| Pick::Sticky(http::HeaderName::from_static(name));
    assert_eq!(group("pick: sticky:X-Session").pick, sticky("x-session"));
    for (written, hint) in [
        ("sticky", "name a header: sticky:authorization"),
        ("sticky:a b", "write it like sticky:x-session-id, or sticky:authorization"),
        ("weight", "did you mean weighted?"),
        ("random", "write weighted, least_loaded or sticky:HEADER"),
    ] {
        let faults = World::default().faults(&text(&format!("{MEMBERS}    pick: {written}\n")));
        assert!(faults.len() == 1 && faults[0].ends_with(hint), "{faults:?}");
    }
}

#[test]
fn triggers_are_the_union_of_what_is_listed() {
    let on = group("failover_on: [5xx, 429, head_timeout]").failover_on;
    let has = |status| on.has_status(status);
    assert!(has(500) && has(503) && has(599) && has(429));
    assert!(!has(499) && !has(600) && !has(200));
    assert!(on.head_timeout && !on.closed);
    let by_default = group("pick: weighted").failover_on;
    assert!(
        by_default.has_status(429) && by_default.has_status(503) && !by_default.has_status(500)
    );
    assert!(!by_default.head_timeout && !by_default.closed);
    let none = group("failover_on: none").failover_on;
    assert!((0..1000).all(|status| !none.has_status(status)));
    for wrong in ["200", "600", "timeout", "4xx"] {
        let faults =
            World::default().faults(&text(&format!("{MEMBERS}    failover_on: {wrong}\n")));
        assert!(
            faults[0].contains("is not a status or failure that can lead to a failover"),
            "{faults:?}"
        );
    }
}

#[test]
fn members_that_make_no_sense_are_refused() {
    assert_only_fault(
        "    members: [{ upstream: a }, { upstream: c }]\n",
        "/etc/f.yaml:4:44: groups.g.members[1].upstream: is not a configured name; configured: a, \
         b",
    );
    assert_only_fault(
        "    members: [{ upstream: a }, { upstream: a }]\n",
        "/etc/f.yaml:4:44: groups.g.members[1].upstream: is already a member of this group; remove \
         one of them; to change its share, set `weight`",
    );
    assert_only_fault(
        "    members: [{ upstream: a, weight: 0 }]\n",
        "/etc/f.yaml:4:14: groups.g.members: has only members of weight 0, which receive no \
         requests; set the weight of at least one member above 0",
    );
    assert_only_fault(
        "    pick: weighted\n",
        "/etc/f.yaml:4:5: groups.g: `members` is missing; it has no default",
    );
}

#[test]
fn pauses_and_times_out_are_no_longer_than_their_longest() {
    assert_only_fault(
        &format!("{MEMBERS}    retry: {{ times: 2, pause: 9s }}\n"),
        "/etc/f.yaml:5:31: groups.g.retry.pause: is longer than longest_pause; raise longest_pause",
    );
    let text = "upstreams: { a: { url: http://a, health: { eject: 6m } } }\n\
                routes: [{ path: /, upstream: a }]\n";
    let expected = "/etc/f.yaml:1:51: upstreams.a.health.eject: is longer than longest_eject; \
                    raise longest_eject";
    assert_eq!(World::default().faults(text), [expected]);
}

#[test]
fn what_a_group_does_beyond_the_first_round_is_as_written() {
    let lines = "    retry: { times: 2, pause: 1s, longest_pause: 2s, budget: 7 }\n    \
                 when_all_ejected: refuse\n    failover_on: first_frame_timeout\n";
    let group = read(&format!("{MEMBERS}{lines}")).groups.remove(0);
    let s = std::time::Duration::from_secs;
    assert_eq!(group.retry, Retry { times: 2, pause: s(1), longest_pause: s(2), budget: 7 });
    assert_eq!(group.when_all_ejected, WhenEjected::Refuse);
    assert!(group.failover_on.first_frame_timeout && !group.failover_on.head_timeout);
}

#[test]
fn hedging_is_off_until_a_quantile_is_written() {
    assert_eq!(group("hedge: { floor: 1s, budget: 7 }").hedge, None);
    let s = std::time::Duration::from_secs;
    let written = "hedge: { quantile: 95, floor: 1s, ceiling: 2s, budget: 7 }";
    let hedge = Hedge { quantile: 95, floor: s(1), ceiling: s(2), budget: 7 };
    assert_eq!(group(written).hedge, Some(hedge));
    let described = describe(&read(&format!("{MEMBERS}    {written}\n")));
    let words = "(weighted, fails over on 429, 503, hedges up to 7 % of requests after p95, 1s to \
        2s; a cancelled request may be billed)";
    assert!(described.contains(words), "{described}");
}

#[test]
fn hedging_that_cannot_be_is_refused() {
    assert_only_fault(
        &format!("{MEMBERS}    hedge: {{ quantile: 95, floor: 11s }}\n"),
        "/etc/f.yaml:5:35: groups.g.hedge.floor: is longer than ceiling; raise ceiling",
    );
    assert_only_fault(
        "    members: [{ upstream: a }, { upstream: b, weight: 0 }]\n    hedge: { quantile: 95 }\n",
        "/etc/f.yaml:5:24: groups.g.hedge.quantile: has no second member to send hedges to; add a \
         member with a weight above 0, or remove the line",
    );
    assert_only_fault(
        &format!("{MEMBERS}    hedge: {{ quantile: 100 }}\n"),
        "/etc/f.yaml:5:24: groups.g.hedge.quantile: \"100\" is out of range; write a number from 0 \
         to 99",
    );
}

#[test]
fn a_group_and_an_upstream_cannot_share_a_name() {
    let text = "upstreams: { a: { url: http://a } }\ngroups: { a: { members: [{ upstream: a }] } }\n\
                routes: [{ path: /, upstream: a }]\n";
    let faults = World::default().faults(text);
    assert_eq!(
        faults,
        ["/etc/f.yaml:2:11: groups.a: is also the name of an upstream; a route could not tell \
             which one is meant; rename one of them"]
    );
}

#[test]
fn a_group_has_64_members_at_most() {
    let upstreams: Vec<_> = (0..65).map(|n| format!("u{n}: {{ url: http://u{n} }}")).collect();
    let upstreams = upstreams.join(", ");
    let members = |count| {
        let members: Vec<_> = (0..count).map(|n| format!("{{ upstream: u{n} }}")).collect();
        members.join(", ")
    };
    let text = |count| {
        format!(
            "upstreams: {{ {upstreams} }}\ngroups: {{ g: {{ members: [{}] }} }}\n\
             routes: [{{ path: /, upstream: g }}]\n",
            members(count)
        )
    };
    assert_eq!(World::default().read(&text(64)).unwrap().groups[0].members.len(), 64);
    assert!(
        World::default().faults(&text(65))[0].contains("groups.g.members: has too many members")
    );
}

#[test]
fn a_description_says_who_stands_in_for_whom() {
    let lines = "    members: [{ upstream: a, weight: 9 }, { upstream: b, tier: 1 }]\n    \
                 pick: sticky:authorization\n    failover_on: [5xx, 429]\n";
    let described = describe(&read(lines));
    let (_, routes) = described.split_once('\n').unwrap();
    assert_eq!(
        routes,
        "/ → group g (sticky:authorization, fails over on 429, 5xx)\n  \
         tier 0, weight 9: a: http://a (http/1.1, no key, 2–64 connections of 64 streams per \
         worker, response head within 10m)\n  \
         tier 1, weight 1: b: http://b (http/1.1, no key, 2–64 connections of 64 streams per \
         worker, response head within 10m)"
    );
}
