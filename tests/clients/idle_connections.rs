//! Connections without a request: how long they may stay, for whom they make room, and that a drain does
//! not wait for them.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use firstbyte::config::Config;
use loadtest::upstream::{Script, Seen, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::raw_frames::{
    Ended, Frames, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, goaway, is_end,
};
use crate::support::peers::raw_http1;
use crate::support::peers::raw_upstream::frame;
use crate::support::program::{Program, file_for};
use crate::support::refusal::assert_refused;

/// The times under test.
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);

/// `/v1/stall` begins and never ends.
fn upstream() -> loadtest::upstream::Builder {
    Upstream::builder().http2().respond(|seen: &Seen| {
        if seen.path == "/v1/stall" {
            Script::new().stream().body("data: 1\n\n").stall()
        } else {
            Script::new().answer(200, &[], "{}")
        }
    })
}

fn times(head: Duration, idle: Duration) -> impl FnOnce(&mut Config) {
    move |config| (config.client.head, config.client.idle) = (head, idle)
}

fn hangups(fixture: &Fixture, reason: &str) -> u64 {
    fixture.count(&format!("firstbyte_client_hangups_total{{reason=\"{reason}\"}}"))
}

/// Asks on this stream, and reads the answer.
fn asked(client: &mut Frames, stream: u32) {
    assert!(client.ask(stream, "/v1/x"), "the proxy reads");
    while !is_end(&client.read().expect("an answer")) {}
}

/// Answers PINGs for as long as the connection is open, as every library does; what came besides.
fn answer_pings(client: &mut Frames, mut meanwhile: impl FnMut(&mut Frames)) -> Vec<(u32, u32)> {
    let (begun, mut said) = (Instant::now(), Vec::new());
    loop {
        assert!(begun.elapsed() < PATIENCE, "it stays open");
        let ended = client.look();
        let frames = client.unread();
        for ping in frames.iter().filter(|frame| frame.kind == PING && frame.flags == 0) {
            client.send(&frame(PING, 1, 0, &ping.payload));
        }
        said.extend(goaway(&frames));
        if ended == Ended::Closed {
            return said;
        }
        meanwhile(client);
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn an_http2_connection_without_a_request_is_sent_away_and_sooner_if_it_never_had_one() {
    let fixture = Fixture::configured(upstream(), times(SHORT, SHORT * 20));
    let mut kept = Frames::connect(fixture.address());
    asked(&mut kept, 1);
    let mut silent = Frames::connect(fixture.address());
    let said = answer_pings(&mut silent, |_| {});
    assert_eq!(said.last(), Some(&(0, 0)), "NO_ERROR, and no stream was looked at");
    assert_eq!(kept.look(), Ended::No, "who has asked may rest for longer");
    let said = answer_pings(&mut kept, |_| {});
    assert_eq!(said.last(), Some(&(0, 1)), "NO_ERROR, and the first stream was the last");
    assert_eq!(hangups(&fixture, "idle"), 2);
}

#[test]
fn pings_keep_no_connection_and_one_that_answers_none_is_closed_on() {
    let fixture = Fixture::configured(upstream(), times(SHORT, SHORT));
    let mut talks = Frames::connect(fixture.address());
    asked(&mut talks, 1);
    answer_pings(&mut talks, |client| {
        client.send(&frame(PING, 0, 0, b"keepaliv"));
    });
    let mut silent = Frames::connect(fixture.address());
    silent.ends_within(PATIENCE);
    assert_eq!(goaway(&silent.unread()).map(|(reason, _)| reason), Some(0));
}

#[test]
fn a_stream_keeps_its_connection_and_its_end_begins_the_time_anew() {
    let fixture = Fixture::configured(upstream(), times(SHORT, SHORT));
    let mut client = Frames::connect(fixture.address());
    assert!(client.ask(1, "/v1/stall"));
    client.until(HEADERS);
    std::thread::park_timeout(SHORT * 4); // the passing of time is what is tested
    assert_eq!(client.look(), Ended::No);
    assert_eq!(goaway(&client.unread()), None);
    assert!(client.send(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())));
    let said = answer_pings(&mut client, |_| {});
    assert_eq!(said.last(), Some(&(0, 1)));
}

fn ask() -> Ask {
    Ask::get("/v1/x")
}

/// A stream that has begun and goes on until it is dropped.
fn busy(fixture: &Fixture) -> Http1 {
    let (mut client, ask) = (Http1::new(fixture.connect()), Ask::get("/v1/stall"));
    client.send(&ask);
    assert_eq!(client.head(&ask).status, 200);
    client
}

fn is_open(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("can be set");
    let read = stream.read(&mut [0; 1024]);
    stream.set_nonblocking(false).expect("can be set");
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn at_the_bound_the_longest_idle_of_either_protocol_makes_room() {
    let fixture = Fixture::configured(upstream(), |config| {
        times(LONG, LONG)(config);
        config.limits.connections = 3;
    });
    let first = fixture.connect();
    let watched = first.try_clone().expect("a second handle");
    let mut first = Http1::new(first);
    assert_eq!(first.ask(&ask()).status, 200);
    let mut second = Frames::connect(fixture.address());
    asked(&mut second, 1);
    let _third = busy(&fixture);
    assert!(is_open(&watched) && second.look() == Ended::No);
    let _fourth = busy(&fixture);
    fixture.wait_until("the first is closed", |_| !is_open(&watched));
    assert_eq!(second.look(), Ended::No);
    let _fifth = busy(&fixture);
    second.ends_within(PATIENCE);
    assert_eq!(goaway(&second.unread()), Some((0, 1)), "what comes later was not looked at");
    assert_eq!(hangups(&fixture, "room"), 2);
    assert_refused(&Http1::new(fixture.connect()).ask(&ask()), 503, "too_many_connections");
    let open = |fixture: &Fixture| fixture.count("firstbyte_client_connections");
    fixture.wait_until("no more than the bound are open", |fixture| open(fixture) == 3);
}

#[test]
fn who_never_says_anything_holds_a_place_for_a_second_and_no_longer() {
    let fixture = Fixture::configured(upstream(), |config| {
        times(LONG, LONG)(config);
        config.limits.connections = 2;
    });
    let _silent = fixture.connect();
    let _preface_only = Frames::connect(fixture.address());
    fixture.wait_until("a newcomer is served", |fixture| {
        Http1::new(fixture.connect()).ask(&ask()).status == 200
    });
    assert_eq!(hangups(&fixture, "room"), 1);
}

#[test]
fn a_newcomer_is_served_whichever_worker_has_the_idle_connection() {
    let fixture = Fixture::configured(upstream(), |config| {
        times(LONG, LONG)(config);
        config.limits.connections = 4;
        config.workers = NonZeroUsize::new(2).expect("two");
    });
    let _busy = [busy(&fixture), busy(&fixture), busy(&fixture)];
    let mut idle = Vec::new();
    for nth in 0..12 {
        // The one before it may have its answer a moment before it counts as idle.
        fixture.wait_until(&format!("newcomer {nth} is served"), |fixture| {
            let mut next = Http1::new(fixture.connect());
            let served = next.ask(&ask()).status == 200;
            idle.push(next);
            served
        });
    }
    assert_eq!(hangups(&fixture, "room"), 11);
}

fn closing_upstream() -> Upstream {
    upstream().start().expect("the mock upstream starts")
}

#[test]
fn a_drain_does_not_wait_for_connections_without_a_request() {
    let upstream = closing_upstream();
    let program = Program::start(&file_for(&upstream)); // drains for an hour
    program.wait_until("it is ready", |program| program.status("/readyz") == 200);
    let mut silent = Frames::connect(program.address);
    silent.until(SETTINGS);
    let mut kept = Frames::connect(program.address);
    asked(&mut kept, 1);
    let mut kept_http1 = raw_http1::Client::to(program.address);
    kept_http1.ask("/v1/x", b"{}");
    assert_eq!(kept_http1.answer().expect("an answer").status, 200);
    program.terminate();
    // Neither answers the PING that comes with the GOAWAY.
    for client in [&mut silent, &mut kept] {
        let said = client.until(GOAWAY);
        assert_eq!(goaway(&said).map(|(reason, _)| reason), Some(0));
    }
    let (status, said) = program.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("cut=0"), "{said}");
}

#[test]
fn a_request_that_was_on_its_way_when_a_drain_began_is_answered() {
    let upstream = closing_upstream();
    let program = Program::start(&file_for(&upstream));
    program.wait_until("it is ready", |program| program.status("/readyz") == 200);
    let mut client = Frames::connect(program.address);
    asked(&mut client, 1);
    program.terminate();
    client.until(GOAWAY);
    asked(&mut client, 3);
    let (_, said) = program.ended();
    assert!(said.contains("cut=0"), "{said}");
}

#[test]
fn what_a_drain_cuts_is_counted_by_stream() {
    let upstream = closing_upstream();
    let file = file_for(&upstream);
    let text = std::fs::read_to_string(&file).expect("a file").replace("drain: 1h", "drain: 500ms");
    std::fs::write(&file, text).expect("the file can be written");
    let program = Program::start(&file);
    program.wait_until("it is ready", |program| program.status("/readyz") == 200);
    let mut client = Frames::connect(program.address);
    for stream in [1, 3, 5] {
        assert!(client.ask(stream, "/v1/stall"));
        client.until(HEADERS);
    }
    let mut http1 = raw_http1::Client::to(program.address);
    http1.ask("/v1/stall", b"{}");
    assert!(http1.wait_for("data: 1"));
    program.terminate();
    let (status, said) = program.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("cut=4"), "{said}");
}
