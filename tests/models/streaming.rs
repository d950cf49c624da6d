//! An upload goes on streaming: it waits for the model and for nothing behind it.

use std::time::Duration;

use bytes::Bytes;
use firstbyte::config::{Protocol, Target, UpstreamId};
use loadtest::upstream::{Log, RequestSeen, Script, Upstream};

use super::{Mixed, by_clients, chat, lead, with_model};
use crate::support::fixture::PATIENCE;
use crate::support::message::{Ask, Length};
use crate::support::pairing::CLIENTS;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::http2_client::Http2;
use crate::support::refusal::assert_refused;
use crate::support::splits::sha256;

fn begun(log: &Log) -> bool {
    log.requests.iter().any(|seen| seen.method == "POST")
}

fn came(bytes: u64) -> impl Fn(&Log) -> bool {
    move |log| log.requests.iter().any(|seen| seen.method == "POST" && seen.body_len >= bytes)
}

#[test]
fn the_upstream_sees_head_and_bytes_as_soon_as_the_model_is_known() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let upstream = |name: &str| {
            let builder =
                Upstream::builder().clear().script(Script::new().answer(200, &[], name.to_owned()));
            if protocol == Protocol::Http2 { builder.http2() } else { builder.http1() }
        };
        let mixed = Mixed::of(upstream("a"), upstream("b"), protocol, |_| {});
        let pieces: Vec<Bytes> =
            ["{\"a\":1,\"mod", "el\":\"llama-3\"", ",\"b\":[", "1]}"].map(Bytes::from).into();
        for length in [Length::Known, Length::Unknown] {
            let before = mixed.b.log().requests.iter().filter(|seen| seen.method == "POST").count();
            let ask = chat("").body(pieces.clone(), length);
            let mut client = Http1::new(mixed.fixture.connect());
            client.send_head(&ask);
            client.send_piece(&ask, &pieces[0]);
            client.send_piece(&ask, &pieces[1]);
            let is_here = |log: &Log| {
                let posts: Vec<_> =
                    log.requests.iter().filter(|seen| seen.method == "POST").collect();
                posts.len() > before && posts[before].body_len == 24
            };
            assert!(mixed.b.wait_for(is_here, PATIENCE), "{protocol:?} {length:?}: head and bytes");
            client.send_piece(&ask, &pieces[2]);
            client.send_piece(&ask, &pieces[3]);
            client.send_end(&ask);
            assert_eq!(client.answer(&ask).body(), b"b");
            let log = mixed.b.log();
            let seen = log.requests.iter().rfind(|seen| seen.method == "POST").expect("it came");
            assert_eq!(seen.body_sha256, Some(sha256(&pieces)));
        }
    }
}

#[test]
fn an_upload_over_http_2_streams_too() {
    let mixed = Mixed::start();
    let mut client = Http2::connect(mixed.fixture.address());
    let ask = chat("").body(vec![Bytes::new()], Length::Unknown);
    let mut stream = client.send_head(&ask);
    client.send_piece(&mut stream, &Bytes::from("{\"model\":"));
    client.send_piece(&mut stream, &Bytes::from("\"llama-3\","));
    mixed.fixture.wait_until("the bytes are there", |_| {
        client.turn();
        came(19)(&mixed.b.log())
    });
    client.send_piece(&mut stream, &Bytes::from("\"x\":1}"));
    client.send_end(&mut stream, &ask);
    assert_eq!(client.answer(&mut stream).body(), b"b");
}

#[test]
fn a_client_that_waits_to_be_told_is_told_before_any_upstream_is_asked() {
    let mixed = Mixed::start();
    let body = Bytes::from(r#"{"model":"llama-3"}"#);
    let ask = chat("").header("expect", "100-continue").body(vec![body.clone()], Length::Known);
    let mut client = Http1::new(mixed.fixture.connect());
    client.send_head(&ask);
    client.read_interim(100);
    assert!(!begun(&mixed.b.log()));
    client.send_piece(&ask, &body);
    let answer = client.answer(&ask);
    assert_eq!((answer.status, &answer.interim[..]), (200, &[][..]));
    let unasked = Ask::get("/v1/files").header("expect", "100-continue");
    assert_eq!(client.ask(&unasked).interim, [0_u16; 0]);
}

#[test]
fn a_client_that_falls_silent_before_its_model_is_refused_in_time() {
    let mixed = Mixed::configured(|config| config.client.body_idle = Duration::from_millis(200));
    let ask = chat("").body(vec!["{".repeat(50).into()], Length::Known);
    let mut client = Http1::new(mixed.fixture.connect());
    client.send_head(&ask);
    client.send_piece(&ask, b"{\"mo");
    assert_refused(&client.answer(&ask), 408, "body_idle");
    assert!(!begun(&mixed.fixture.upstream.log()) && !begun(&mixed.b.log()));
}

#[test]
fn a_client_s_own_deadline_holds_while_its_model_is_waited_for() {
    let mixed = Mixed::start();
    let ask = chat("")
        .header("x-firstbyte-timeout-ms", "200")
        .body(vec!["{".repeat(50).into()], Length::Known);
    let mut client = Http1::new(mixed.fixture.connect());
    client.send_head(&ask);
    client.send_piece(&ask, b"{\"mo");
    let answer = client.head(&ask);
    assert_eq!(answer.status, 504);
}

#[test]
fn a_client_that_leaves_before_its_model_leaves_nothing_behind() {
    let mixed = Mixed::start();
    for _ in 0..3 {
        let mut client = Http1::new(mixed.fixture.connect());
        let ask = chat("").body(vec!["{".repeat(50).into()], Length::Known);
        client.send_head(&ask);
        client.send_piece(&ask, b"{\"mo");
        mixed.fixture.wait_until("it is in flight", |fixture| {
            fixture.count("firstbyte_streams_in_flight") == 1
        });
        drop(client);
        mixed.fixture.wait_until("it is gone", |fixture| {
            fixture.metric("firstbyte_streams_in_flight") == 0.0
        });
    }
    assert!(!begun(&mixed.b.log()));
    assert_eq!(mixed.answers(&with_model("llama-3")), "b");
    let ends = "firstbyte_stream_end_total{outcome=\"client_gone\"}";
    assert_eq!(mixed.fixture.count(ends), 3);
}

/// What was looked through ended without one, and more of the body may come.
#[test]
fn a_client_that_leaves_behind_a_body_without_a_model_cancels_its_request() {
    for speaks in CLIENTS {
        let stalls = || Upstream::builder().clear().http2().script(Script::new().stall());
        let mixed = Mixed::of(stalls(), stalls(), Protocol::Http2, |config| {
            lead(config, Some(Target::Upstream(UpstreamId(1))));
        });
        for is_over in [false, true] {
            let before = by_clients(&mixed.b).len();
            let mut client = speaks.connect(&mixed.fixture);
            let ask = chat("").body(vec![Bytes::from("{\"x\":[]} ")], Length::Unknown);
            let mut exchange = client.begin(&ask);
            exchange.send(&ask.pieces[0]);
            if is_over {
                exchange.end();
            }
            mixed.fixture.wait_until("it went up", |_| by_clients(&mixed.b).len() > before);
            drop(client);
            let left = |log: &Log| {
                let mut posts = log.requests.iter().filter(|seen| seen.method == "POST");
                posts.all(RequestSeen::was_cancelled)
            };
            assert!(mixed.b.wait_for(left, PATIENCE), "{speaks:?}, over: {is_over}");
        }
    }
}

/// Some servers read the last object.
#[test]
fn a_model_behind_the_end_of_a_body_without_one_is_refused() {
    let mixed = Mixed::configured(|config| lead(config, Some(Target::Upstream(UpstreamId(1)))));
    let at_once = chat(r#"{"x":[]}{"model":"gpt-4o"}"#);
    assert_refused(&mixed.ask(&at_once), 400, "model_unreadable");
    assert!(!begun(&mixed.b.log()));
    let pieces = [r#"{"x":[]}"#, r#"{"model":"gpt-4o"}"#].map(Bytes::from);
    let ask = chat("").body(pieces.to_vec(), Length::Known);
    let mut client = Http1::new(mixed.fixture.connect());
    client.send_head(&ask);
    client.send_piece(&ask, &pieces[0]);
    assert!(mixed.b.wait_for(came(1), PATIENCE), "the first piece is up");
    client.send_piece(&ask, &pieces[1]);
    assert_refused(&client.answer(&ask), 400, "model_unreadable");
    let cut =
        |log: &Log| log.requests.iter().any(|seen| seen.method == "POST" && seen.was_cancelled());
    assert!(mixed.b.wait_for(cut, PATIENCE), "it never has a whole body");
}

#[test]
fn trailers_pass_behind_a_body_that_was_looked_through() {
    let mixed = Mixed::start();
    let body = r#"{"x":1,"model":"llama-3"}"#;
    let ask = Ask::post("/v1/x", body).trailer("x-sum", "7").header("te", "trailers");
    let ask = ask.header("trailer", "x-sum");
    assert_eq!(mixed.answers(&ask), "b");
    let log = mixed.b.log();
    let seen = log.requests.iter().rfind(|seen| seen.method == "POST").expect("it came");
    assert_eq!(seen.trailers.len(), 1, "{seen:?}");
}

/// The route was chosen by the first one, and with it whose key is used.
#[test]
fn a_second_model_behind_the_first_cuts_the_upload() {
    let mixed = Mixed::start();
    let pieces = ["{\"model\":\"gpt-4o\",\"x\":[", "1],\"model\":\"llama-3\"}"].map(Bytes::from);
    let ask = chat("").body(pieces.to_vec(), Length::Known);
    let mut client = Http1::new(mixed.fixture.connect());
    client.send_head(&ask);
    client.send_piece(&ask, &pieces[0]);
    assert!(mixed.fixture.upstream.wait_for(came(1), PATIENCE), "the first piece is up");
    client.send_piece(&ask, &pieces[1]);
    assert_refused(&client.answer(&ask), 400, "model_unreadable");
    let cut =
        |log: &Log| log.requests.iter().any(|seen| seen.method == "POST" && seen.was_cancelled());
    assert!(mixed.fixture.upstream.wait_for(cut, PATIENCE), "it never has a whole body");
    assert!(!begun(&mixed.b.log()));
    assert_eq!(client.ask(&with_model("llama-3")).body(), b"b", "the client may go on");
}
