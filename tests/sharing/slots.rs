//! Requests in flight are counted over all processes, and those of a process that is gone are not.

use std::time::Duration;

use loadtest::upstream::Script;
use rustix::process::Signal;

use super::{asked, client, knows_of, replica, server, wait_until};
use crate::keys::{answering, ask};
use crate::support::peers::http1_client::Http1;

#[test]
fn a_process_that_is_killed_gives_its_slots_back_within_seconds() {
    let Some(server) = server(&[]) else { return };
    // Streams until it is cut.
    let upstream =
        answering(|_| Script::new().stream().tokens(100_000, Duration::from_millis(50)).finish());
    let text = format!("clients:\n{}", client("a", "limits: { concurrent: 4 }"));
    let doomed = replica(&upstream, &server, "", &text);
    let other = replica(&upstream, &server, "", &text);
    for program in [&doomed, &other] {
        knows_of(program, 2);
    }
    let mut streams = Vec::new();
    wait_until("it holds all of them", || {
        let mut client = Http1::new(doomed.connect());
        let request = ask("a");
        client.send(&request);
        if client.head(&request).status == 200 {
            streams.push(client);
        }
        streams.len() == 4
    });
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
    let upstream = answering(|_| crate::keys::chat(1, 1));
    let text = format!("clients:\n{}", client("a", "limits: { concurrent: 3 }"));
    let one = replica(&upstream, &server, "", &text);
    for _ in 0..40 {
        assert_eq!(asked(&one, "a").status, 200);
    }
    wait_until("none is held", || {
        server.command(&["EXISTS", "firstbyte:{client a/concurrent}"]) == "0"
    });
}

/// The status of a request whose answer is then left.
fn asked_head(program: &crate::support::program::Program) -> u16 {
    let mut client = Http1::new(program.connect());
    let request = ask("a");
    client.send(&request);
    client.head(&request).status
}
