//! Clients that keep their connections lose nothing to a process that leaves, nor to a time that runs out.

use std::io::{Read, Write};
use std::time::Duration;

use loadtest::upstream::{Script, Upstream};
use rustix::process::Signal;

use crate::support::fixture::Fixture;
use crate::support::generations::Generations;
use crate::support::peers::raw_http1;
use crate::support::peers::steady::Steady;

const CLIENTS: u32 = 12;

/// Up to this between two requests: some rest when they are told to go.
const PAUSE: Duration = Duration::from_millis(20);

fn upstream() -> Upstream {
    let script = Script::new().wait(Duration::from_millis(1)).answer(200, &[], "{}");
    let upstream = Upstream::builder().clear().http2().log(false).script(script);
    upstream.start().expect("the mock upstream starts")
}

fn file(upstream: &Upstream) -> String {
    format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 2\naccess_log: off\n\
         upstreams:\n  a: {{ url: '{}/v1', protocol: http2 }}\n\
         routes: [{{ path: /v1, upstream: a }}]\n",
        upstream.url()
    )
}

#[test]
fn three_hand_overs_under_keep_alive_load_lose_nothing() {
    let upstream = upstream();
    let mut all = Generations::start(&file(&upstream));
    let steady = Steady::at(all.address, CLIENTS, PAUSE);
    for _ in 0..3 {
        steady.more(500);
        all.upgrade();
    }
    steady.more(500);
    assert_eq!(all.first_ended().code(), Some(0));
    assert!(steady.end() >= 2000);
}

#[test]
fn reloads_under_keep_alive_load_lose_nothing() {
    let upstream = upstream();
    let all = Generations::start(&file(&upstream));
    let steady = Steady::at(all.address, CLIENTS, PAUSE);
    for nth in 1..=3 {
        steady.more(300);
        all.write_config(&format!("{}client: {{ idle: {nth}m }}\n", file(&upstream)));
        all.signal(Signal::HUP);
        all.wait_until("it is reloaded", |all| {
            all.said().matches("configuration reloaded").count() == nth
        });
    }
    steady.more(300);
    steady.end();
}

/// A request that meets a close finds an end, which clients and balancers know how to read; a reset says
/// nothing, and may take the answer before it along.
#[test]
fn a_request_that_comes_just_after_a_connection_rested_too_long_finds_an_end_and_no_reset() {
    let script = Script::new().answer(200, &[], "{}");
    let fixture = Fixture::configured(Upstream::builder().script(script), |config| {
        config.client.idle = Duration::from_millis(100);
    });
    let mut client = raw_http1::Client::connect(&fixture);
    client.ask("/v1/chat", b"{}");
    assert_eq!(client.answer().expect("an answer").status, 200);
    // Its end is there to be read, and it asks all the same.
    while client.stream.peek(&mut [0]).is_ok_and(|peeked| peeked > 0) {}
    client.ask("/v1/chat", b"{}");
    client.stream.flush().expect("it is open on our side");
    let until_then = fixture.count("firstbyte_client_connections");
    assert_eq!(until_then, 1, "it is read from for a moment");
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).expect("an end, no reset");
    assert_eq!(rest, b"");
}
