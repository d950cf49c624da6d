//! The server is lost: stopped, stalled, emptied, or it takes no scripts.

use std::time::Duration;

use super::{asked, client, knows_of, pass, replica, server, shared, start, wait_until};
use crate::keys::{answering, chat};
use crate::support::program::Program;

/// An hour's worth at once: nothing to speak of flows in during a test.
fn limits() -> String {
    format!("clients:\n{}", client("a", "limits: { rpm: 2, burst: 50m }"))
}

fn lost(program: &Program) {
    program.wait_until("the loss is seen", |one| one.count("firstbyte_redis_connected") == 0);
}

#[test]
fn stopped_stalled_or_emptied_no_request_waits_for_it_and_it_comes_back_without_a_restart() {
    let Some(mut server) = server(&[]) else { return };
    let upstream = answering(|_| chat(1, 1));
    let text = format!("clients:\n{}", client("a", "limits: { rpm: 1000000 }"));
    let program = replica(&upstream, &server, "", &text);
    let calm = pass(&program, "a", 100).1;
    server.pause();
    let (passed, stalled) = pass(&program, "a", 100);
    lost(&program);
    let (more, after) = pass(&program, "a", 100);
    server.go_on();
    shared(&program);
    server.restart_empty();
    let (again, emptied) = pass(&program, "a", 100);
    shared(&program);
    server.kill();
    lost(&program);
    let (last, stopped) = pass(&program, "a", 100);
    assert_eq!((passed, more, again, last), (100, 100, 100, 100));
    println!("longest: {calm:?} calm, {stalled:?} stalled, {after:?}, {emptied:?}, {stopped:?}");
    // The exchange is given up after 500 ms: whoever waited for it would have waited as long.
    for longest in [stalled, after, emptied, stopped] {
        assert!(longest < Duration::from_millis(400), "{longest:?}, {calm:?} without a loss");
    }
    program.terminate();
    let (status, said) = program.ended();
    assert!(status.success(), "the end waits for nobody: {said}");
    assert!(
        said.contains("limits are not shared; on_loss: each process enforces its part, 1/1"),
        "{said}"
    );
    assert!(said.contains("redis is back: limits are shared again"), "{said}");
}

#[test]
fn on_loss_local_each_has_its_part_of_what_was_left() {
    let Some(mut server) = server(&[]) else { return };
    let upstream = answering(|_| chat(1, 1));
    let one = replica(&upstream, &server, "", &limits());
    let other = replica(&upstream, &server, "", &limits());
    for program in [&one, &other] {
        knows_of(program, 2);
    }
    assert_eq!(pass(&one, "a", 20).0, 20);
    server.kill();
    for program in [&one, &other] {
        lost(program);
    }
    // Of 100, 20 are used. Where both heard of that, 40 are left for each; where the server was killed before, it is the
    // first one's own part that they come out of.
    let each = [pass(&one, "a", 100).0, pass(&other, "a", 100).0];
    assert!((29..=41).contains(&each[0]), "{each:?}");
    assert!((39..=51).contains(&each[1]), "{each:?}");
    let gone = one.count("firstbyte_redis_errors_total{reason=\"connection\"}");
    assert!(gone > 0);
}

#[test]
fn a_server_that_was_emptied_has_back_what_the_processes_knew() {
    let Some(mut server) = server(&[]) else { return };
    let upstream = answering(|_| chat(1, 1));
    let text = format!("{}{}", limits(), client("b", "budget: { tokens: 1000, per: total }"));
    let program = replica(&upstream, &server, "", &text);
    let taken = pass(&program, "a", 90).0;
    assert_eq!(taken, 90);
    assert_eq!(pass(&program, "b", 50).0, 50);
    wait_until("it is told", || {
        server.command(&["HGET", "firstbyte:{client b/budget_tokens/total}:0", "spent"]) == "100"
    });
    server.restart_empty();
    wait_until("it is told again", || {
        asked(&program, "b").status == 200
            && server
                .command(&["HGET", "firstbyte:{client b/budget_tokens/total}:0", "spent"])
                .parse::<u64>()
                .is_ok_and(|spent| (100..200).contains(&spent))
    });
    shared(&program);
    let more = pass(&program, "a", 60).0;
    assert!(more <= 12, "{more}: no second burst");
}

#[test]
fn on_loss_deny_says_so_and_on_loss_allow_lets_pass_from_the_start_on() {
    let upstream = answering(|_| chat(1, 1));
    let nowhere = crate::support::fixture::free_port();
    let text = |on_loss: &str| {
        format!(
            "redis: {{ url: 'redis://127.0.0.1:{nowhere}', on_loss: {on_loss} }}\n{}{}",
            limits(),
            client("free", "disabled: false")
        )
    };
    let deny = start(&upstream, &text("deny"));
    deny.wait_until("it is said", |one| one.count("firstbyte_redis_errors_total") > 0);
    let refused = asked(&deny, "a");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.json()["error"]["code"], "limits_unavailable", "{refused:?}");
    assert_eq!(asked(&deny, "free").status, 200, "who has no limits is not touched");
    let allow = start(&upstream, &text("allow"));
    allow.wait_until("it is said", |one| one.count("firstbyte_redis_errors_total") > 0);
    assert_eq!(pass(&allow, "a", 150).0, 150);
    allow.terminate();
    let (_, said) = allow.ended();
    assert_eq!(said.matches("limits are not enforced").count(), 1, "once: {said}");
}

#[test]
fn a_server_that_takes_no_scripts_is_a_loss_and_never_a_limit_per_process_in_silence() {
    let refusing = ["rename-command", "EVALSHA \"\"", "rename-command", "EVAL \"\""];
    let Some(server) = server(&refusing) else { return };
    let upstream = answering(|_| chat(1, 1));
    let text = format!("redis: {{ url: 'redis://{}' }}\n{}", server.address, limits());
    let program = start(&upstream, &text);
    program.wait_until("it is said", |one| {
        one.count("firstbyte_redis_errors_total{reason=\"scripts\"}") > 0
    });
    assert_eq!(program.count("firstbyte_redis_connected"), 0);
    program.terminate();
    let (_, said) = program.ended();
    assert!(said.contains("ERROR") && said.contains("the server refuses scripts"), "{said}");
}
