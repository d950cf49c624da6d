//! Requests in flight are counted over all processes, and those of a process that is gone are not.

use std::time::{Duration, Instant};

use loadtest::upstream::Script;
use rustix::process::Signal;

use super::{client, knows_of, replica, server, wait_shortly, wait_until};
use crate::keys::{answering, ask};
use crate::support::peers::http1_client::Http1;
use crate::support::program::Program;

#[test]
fn a_process_that_is_killed_gives_its_slots_back() {
    let Some(server) = server(&[]) else { return };
    let upstream = streaming();
    let text = format!("clients:\n{}", client("a", "limits: { concurrent: 4 }"));
    let doomed = replica(&upstream, &server, "", &text);
    let other = replica(&upstream, &server, "", &text);
    for program in [&doomed, &other] {
        knows_of(program, 2);
    }
    let _streams = hold(&doomed, 4);
    wait_until("the other knows", || asked_head(&other) == 429);
    // For longer than one word of it holds.
    for _ in 0..5 {
        std::thread::park_timeout(Duration::from_secs(1));
        assert_eq!(asked_head(&other), 429, "what is held stays held");
    }
    doomed.signal(Signal::KILL);
    wait_until("they are given back", || asked_head(&other) == 200);
    knows_of(&other, 1);
}

#[test]
fn requests_that_end_give_their_slots_back_to_all() {
    let Some(server) = server(&[]) else { return };
    let upstream = streaming();
    let text = format!("clients:\n{}", client("a", "limits: { concurrent: 3 }"));
    let one = replica(&upstream, &server, "", &text);
    let other = replica(&upstream, &server, "", &text);
    for program in [&one, &other] {
        knows_of(program, 2);
    }
    for _ in 0..3 {
        let streams = hold(&one, 3);
        wait_until("the other knows", || asked_head(&other) == 429);
        drop(streams);
        wait_shortly("none is held", || held(&server).is_empty());
    }
    let begun = Instant::now();
    let _all = hold(&other, 3);
    assert!(begun.elapsed() < super::HOLD / 2, "not because what was said of them ran out");
}

#[test]
fn requests_that_began_while_the_server_was_lost_are_told_when_it_is_back() {
    let Some(mut server) = server(&[]) else { return };
    let upstream = streaming();
    let text = format!("clients:\n{}", client("a", "limits: { concurrent: 4 }"));
    server.kill();
    let redis = format!("redis: {{ url: 'redis://{}' }}\n", server.address);
    let program = super::start(&upstream, &format!("{redis}{text}"));
    program.wait_until("the loss is seen", |one| one.count("firstbyte_redis_errors_total") > 0);
    let streams = hold(&program, 4);
    server.restart_empty();
    super::shared(&program);
    wait_shortly("they are told", || held(&server).starts_with("4:"));
    let other = replica(&upstream, &server, "", &text);
    // Its first one may pass on the small part that it begins with.
    wait_until("the other knows", || asked_head(&other) == 429);
    drop(streams);
    wait_shortly("that they ended is told", || held(&server).is_empty());
}

fn streaming() -> loadtest::upstream::Upstream {
    answering(|_| Script::new().stream().tokens(100_000, Duration::from_millis(50)).finish())
}

/// Streams that run until they are dropped.
fn hold(program: &Program, count: usize) -> Vec<Http1> {
    let mut streams = Vec::new();
    wait_until("all of them run", || {
        let mut client = Http1::new(program.connect());
        let request = ask("a");
        client.send(&request);
        if client.head(&request).status == 200 {
            streams.push(client);
        }
        streams.len() == count
    });
    streams
}

/// What each process holds, as the server knows it.
fn held(server: &super::server::Redis) -> String {
    server.command(&["HVALS", "firstbyte:{client a/concurrent}"])
}

/// The status of a request whose answer is then left.
fn asked_head(program: &Program) -> u16 {
    let mut client = Http1::new(program.connect());
    let request = ask("a");
    client.send(&request);
    client.head(&request).status
}
