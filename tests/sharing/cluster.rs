//! A cluster of three primaries.

use std::collections::BTreeSet;

use super::server::Redis;
use super::{asked, client, knows_of, pass, shared, start, wait_until};
use crate::keys::{answering, chat};
use crate::support::installed::installed;
use crate::support::program::Program;

const SLOTS: [[&str; 2]; 3] = [["0", "5460"], ["5461", "10922"], ["10923", "16383"]];

/// Three primaries that know each other; `None` where no server is installed.
fn cluster() -> Option<Vec<Redis>> {
    let program = installed("redis-server")?;
    let all: Vec<_> =
        SLOTS.iter().map(|_| Redis::start(&program, &["cluster-enabled", "yes"])).collect();
    for (one, [from, to]) in all.iter().zip(SLOTS) {
        assert_eq!(one.command(&["CLUSTER", "ADDSLOTSRANGE", from, to]), "OK");
    }
    for one in &all[1..] {
        one.meet(&all[0]);
    }
    for one in &all {
        wait_until("the cluster forms", || {
            let info = one.command(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        });
    }
    Some(all)
}

/// Whether a primary has this key.
fn has(primary: &Redis, key: &str) -> bool {
    primary.command(&["EXISTS", key]) == "1"
}

/// Two processes before the cluster.
fn two(all: &[Redis], section: &str, clients: &str) -> [Program; 2] {
    let upstream = answering(|_| chat(1, 1));
    let redis = format!("redis: {{ url: 'redis://{}', cluster: true{section} }}\n", all[0].address);
    let both = [(); 2].map(|()| start(&upstream, &format!("{redis}clients:\n{clients}")));
    std::mem::forget(upstream); // runs as long as they do
    for one in &both {
        shared(one);
        knows_of(one, 2);
    }
    both
}

#[test]
fn limits_whose_keys_are_on_three_primaries_hold_over_two_processes() {
    let Some(all) = cluster() else { return };
    let names = ["a", "b", "c", "d", "e", "f"];
    let clients: String =
        names.map(|name| client(name, "limits: { rpm: 2, burst: 50m, concurrent: 9 }")).concat();
    let both = two(&all, "", &clients);
    let mut on = BTreeSet::new();
    for name in names {
        let passed: usize = std::thread::scope(|scope| {
            let threads = both.each_ref().map(|one| scope.spawn(|| pass(one, name, 150).0));
            threads.into_iter().map(|one| one.join().expect("no panic")).sum()
        });
        assert!((97..=200).contains(&passed), "{name}: {passed} of 100");
        wait_until("both know that nothing is left", || {
            both.iter().all(|one| asked(one, name).status == 429)
        });
        let key = format!("firstbyte:{{client {name}/rpm}}");
        let place = all.iter().position(|one| has(one, &key)).expect("it is on one of them");
        assert_eq!(all.iter().filter(|one| has(one, &key)).count(), 1);
        on.insert(place);
    }
    assert_eq!(on.len(), 3, "each primary has some of them");
    for one in &both {
        assert_eq!(one.count("firstbyte_redis_errors_total"), 0);
    }
}

#[test]
fn with_exact_a_cluster_decides_each_request_on_the_one_primary_of_the_prefix() {
    let Some(all) = cluster() else { return };
    let clients = client("a", "limits: { rpm: 2, burst: 50m, concurrent: 50 }");
    let both = two(&all, ", exact: true, timeout: 5s", &clients);
    let passed: usize = std::thread::scope(|scope| {
        let threads = both.each_ref().map(|one| scope.spawn(|| pass(one, "a", 100).0));
        threads.into_iter().map(|one| one.join().expect("no panic")).sum()
    });
    assert!((100..=101).contains(&passed), "{passed} of 100, and what flowed in");
    let key = "{firstbyte}:client a/rpm";
    assert_eq!(all.iter().filter(|one| has(one, key)).count(), 1);
}
