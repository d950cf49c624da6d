//! What a reload took away, or what was refused, leaves nothing behind: no connection, no gauge, no place.

use std::fmt::Write as _;
use std::io::{Read, Write};

use loadtest::upstream::{Cut, Script, Upstream};
use std::time::Duration;

use super::reload::{applied, begun, end, file, get, held, open, ready, reload, saying, started};
use crate::support::fixture::{Fixture, PATIENCE};

/// One connection of one stream, for which nobody waits long.
const NARROW: &str = ", pool: { min_connections: 1, max_connections: 1, streams_per_connection: 1, \
                      queue_timeout: 50ms }";

#[test]
fn a_connection_for_which_somebody_waited_in_vain_closes_with_its_last_stream() {
    let (old, new) = (started(held()), started(saying("from b")));
    let before = file(&[("a", &old, NARROW)]);
    let after = file(&[("b", &new, "")]);
    let fixture = ready(old, &before);
    let mut stream = begun(&fixture, "/a");
    assert_eq!(get(&fixture, "/a").status, 503, "it waits in vain");
    fixture.write_file("firstbyte.yaml", &after);
    applied(&fixture);
    end(&mut stream);
    assert!(fixture.upstream.wait_for(open(0), PATIENCE), "nobody can ask it any more");
}

/// A PING soon, given up soon after; what is connected to then is waited for.
const ATTENTIVE: &str = ", pool: { ping_after: 100ms, suspect_after: 200ms, ping_timeout: 400ms }, \
                         deadlines: { connect: 10m }";

fn silent(fixture: &Fixture) -> u64 {
    fixture.count(r#"firstbyte_upstream_silent{upstream="a"}"#)
}

fn given_up(fixture: &Fixture) -> u64 {
    fixture.count(r#"firstbyte_upstream_silences_total{upstream="a",step="given_up"}"#)
}

#[test]
fn an_upstream_that_was_silent_when_it_was_removed_is_not_shown_as_silent() {
    let (old, new) = (started(held()), started(saying("from b")));
    let before = file(&[("a", &old, ATTENTIVE)]);
    let after = file(&[("b", &new, "")]);
    let fixture = ready(old, &before);
    let mut stream = begun(&fixture, "/a");
    fixture.upstream.freeze();
    stream.write_all(b"2\r\n{}\r\n").expect("the proxy reads");
    fixture.wait_until("all is given up", |fixture| given_up(fixture) == 2);
    fixture.wait_until("it is shown", |fixture| silent(fixture) == 1);
    fixture.write_file("firstbyte.yaml", &after);
    applied(&fixture);
    fixture.wait_until("it is gone", |fixture| silent(fixture) == 0);
}

#[test]
fn an_upstream_that_falls_silent_after_it_was_removed_is_not_shown_as_silent() {
    let (old, new) = (started(held()), started(saying("from b")));
    let before = file(&[("a", &old, ATTENTIVE)]);
    let after = file(&[("b", &new, "")]);
    let fixture = ready(old, &before);
    let mut stream = begun(&fixture, "/a");
    fixture.write_file("firstbyte.yaml", &after);
    applied(&fixture);
    assert!(fixture.upstream.wait_for(open(1), PATIENCE), "the stream's stays");
    fixture.upstream.freeze();
    stream.write_all(b"2\r\n{}\r\n").expect("the proxy reads");
    fixture.wait_until("it is given up", |fixture| given_up(fixture) == 1);
    let draining = r#"firstbyte_upstream_connections{upstream="a",state="draining"}"#;
    fixture.wait_until("it is closed", |fixture| fixture.count(draining) == 0);
    assert_eq!(silent(&fixture), 0);
}

#[test]
fn an_answer_that_is_cut_after_its_upstream_was_removed_leaves_nobody_shown_as_ejected() {
    let script = Script::new().early().stream().tokens(1, Duration::ZERO).await_body();
    let cut = Upstream::builder().clear().http2().script(script.cut(Cut::Fin));
    let (old, new) = (started(cut), started(saying("from b")));
    let grouped = |upstreams: String| {
        let groups = "groups: { all: { members: [{ upstream: a }] } }\n";
        format!("{upstreams}  - {{ path: /all, upstream: all }}\n{groups}")
    };
    let health = ", health: { consecutive_failures: 1, eject: 1h, longest_eject: 1h }";
    let before = grouped(file(&[("a", &old, health)]));
    // Another by that name, of which nothing is known.
    let after = grouped(file(&[("a", &new, health)]));
    let fixture = ready(old, &before);
    let mut stream = begun(&fixture, "/all");
    fixture.write_file("firstbyte.yaml", &after);
    applied(&fixture);
    stream.write_all(b"0\r\n\r\n").expect("the proxy reads");
    let _cut = stream.read_to_end(&mut Vec::new());
    fixture.wait_until("it is over", |fixture| fixture.count("firstbyte_streams_in_flight") == 0);
    assert_eq!(get(&fixture, "/all").body(), b"from b");
    assert_eq!(fixture.count(r#"firstbyte_upstream_ejected{upstream="a"}"#), 0);
}

#[test]
fn a_reload_that_is_refused_takes_no_place_for_a_name() {
    let a = started(saying("from a"));
    let before = file(&[("a", &a, "")]);
    let fixture = ready(a, &before);
    let many = |prefix: &str| {
        let mut text = before.clone();
        for nth in 0..600 {
            writeln!(text, "  - {{ path: /{prefix}{nth}, upstream: a }}").expect("a String");
        }
        text
    };
    fixture.write_file("bad.pem", "no certificate");
    let untrusted = "routes:\n  - { path: /u, upstream: u }";
    let bad = many("x").replace("routes:", untrusted);
    let upstream = "upstreams:\n  u: { url: 'https://127.0.0.1:1', ca_file: bad.pem }";
    fixture.write_file("firstbyte.yaml", &bad.replace("upstreams:", upstream));
    let (status, page) = reload(&fixture);
    let faults = page["faults"][0].as_str().expect("a fault");
    assert!(status != 200 && faults.contains("\"u\" cannot be used"), "{page}");
    fixture.write_file("firstbyte.yaml", &many("y"));
    applied(&fixture);
    assert_eq!(get(&fixture, "/y599").body(), b"from a");
}
