//! Three processes are one, within the bound that the documentation gives.

use super::{asked, client, each_server, knows_of, pass, replica, server, wait_until};
use crate::keys::{answering, chat};
use crate::support::message::Answer;

const LIMIT: usize = 300;

#[test]
fn three_processes_let_pass_what_one_would_within_the_documented_bound() {
    for server in each_server() {
        let upstream = answering(|_| chat(1, 1));
        // An hour's worth at once, so that nothing to speak of flows in during the test.
        let text = format!("clients:\n{}", client("a", "limits: { rpm: 6, burst: 50m }"));
        let all: Vec<_> = (0..3).map(|_| replica(&upstream, &server, "", &text)).collect();
        for one in &all {
            knows_of(one, 3);
        }
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                all.iter().map(|one| scope.spawn(|| pass(one, "a", LIMIT).0)).collect();
            threads.into_iter().map(|one| one.join().expect("no panic")).sum()
        });
        // Each third of the limit is a lease: together they are no more than the limit once again. In fact leases shrink
        // with what is left, and little more than the limit passes.
        assert!((LIMIT - 3..=2 * LIMIT).contains(&passed), "{passed} of {LIMIT}");
        println!("{passed} of {LIMIT} passed, {} at most", 2 * LIMIT);
        // What was taken too much is owed to all.
        wait_until("all know that nothing is left", || {
            all.iter().all(|one| asked(one, "a").status == 429)
        });
    }
}

#[test]
fn one_of_three_that_all_requests_come_to_may_use_all_of_a_limit() {
    let Some(server) = server(&[]) else { return };
    let upstream = answering(|_| chat(1, 1));
    let text = format!("clients:\n{}", client("a", "limits: { rpm: 6, burst: 50m }"));
    let all: Vec<_> = (0..3).map(|_| replica(&upstream, &server, "", &text)).collect();
    for one in &all {
        knows_of(one, 3);
    }
    let mut passed = 0;
    wait_until("nothing is left", || {
        let more = pass(&all[0], "a", 20).0;
        passed += more;
        passed >= LIMIT - 1 && more == 0
    });
    assert!(passed <= LIMIT + 5, "{passed}: it alone exceeds nothing");
}

#[test]
fn tokens_and_budgets_are_charged_to_all_of_them() {
    let Some(server) = server(&[]) else { return };
    let upstream = answering(|_| chat(600, 400));
    let text = format!(
        "clients:\n{}{}",
        client("a", "limits: { tpm: 10000 }"),
        client("b", "budget: { tokens: 20000, per: month }")
    );
    let one = replica(&upstream, &server, "", &text);
    let other = replica(&upstream, &server, "", &text);
    for program in [&one, &other] {
        knows_of(program, 2);
    }
    // Of what it has not used itself the other hears when a request of its own comes: no more pass than its lease.
    let pass_until_it_knows = |name: &str| {
        let mut passed = 0;
        wait_until("the other knows", || match asked(&other, name) {
            Answer { status: 200, .. } => {
                passed += 1;
                false
            }
            refused => {
                assert_eq!(refused.status, 429);
                true
            }
        });
        passed
    };
    let passed = pass(&one, "a", 40).0;
    // Each lease is half of what is left; between two of them it refuses.
    assert!((5..=20).contains(&passed), "{passed} of 10");
    let more = pass_until_it_knows("a");
    assert!(more <= 5, "{more} of the 5 that were its lease");
    let passed = pass(&one, "b", 60).0;
    assert!((10..=40).contains(&passed), "{passed} of 20");
    let more = pass_until_it_knows("b");
    assert!(more <= 10, "{more} of the 10 that were its lease");
    let refused = asked(&other, "b");
    assert_eq!(refused.json()["error"]["code"], "insufficient_quota", "{refused:?}");
    // One that begins later is told before it lets anything of it pass.
    let late = replica(&upstream, &server, "", &text);
    assert_eq!(asked(&late, "b").status, 429);
}

#[test]
fn clients_without_limits_and_limits_that_nobody_uses_cost_no_command() {
    let Some(server) = server(&[]) else { return };
    let upstream = answering(|_| chat(1, 1));
    let text = format!(
        "clients:\n{}{}",
        client("free", "disabled: false"),
        client("idle", "limits: { rpm: 100, concurrent: 5 }")
    );
    let program = replica(&upstream, &server, "", &text);
    let scripts = server.count(&["eval", "evalsha"]);
    assert_eq!(pass(&program, "free", 200).0, 200);
    let more = server.count(&["eval", "evalsha"]) - scripts;
    assert!(more < 50, "{more} for 200 requests: a word each second, and nothing else");
    let keys = server.command(&["KEYS", "*"]);
    assert_eq!(keys, "firstbyte:{instances}", "of limits nothing is kept");
    assert_eq!(asked(&program, "idle").status, 200);
    wait_until("it is told", || {
        server.command(&["KEYS", "*rpm}"]) == "firstbyte:{client idle/rpm}"
    });
    // Nor is there a connection where no client has a limit.
    let connections = server.connections();
    let text = format!(
        "redis: {{ url: 'redis://{}' }}\nclients:\n{}",
        server.address,
        client("free", "disabled: false")
    );
    let without = super::start(&upstream, &text);
    assert_eq!(pass(&without, "free", 50).0, 50);
    assert_eq!(server.connections(), connections);
}
