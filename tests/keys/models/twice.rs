//! A request that names a second model: no upstream gets all of it.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use loadtest::upstream::{RequestSeen, Script, Upstream};
use serde_json::json;

use super::{at, bodies, clients, ok, proxy, with_body};
use crate::keys::{answering, ask};
use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::{Answer, Ask, Length};
use crate::support::pairing::{CLIENTS, Client, Speaks};
use crate::support::peers::http1_client::Http1;
use crate::support::refusal::assert_refused;

/// What a client sends of which the last piece, or the one before, names a second model.
fn doubled() -> Vec<Vec<Bytes>> {
    let far = Bytes::from("x".repeat(64 * 1024));
    let mut behind_a_mebibyte = vec![Bytes::from(r#"{"model":"gpt-4o","messages":""#)];
    behind_a_mebibyte.extend(std::iter::repeat_n(far, 16));
    behind_a_mebibyte.extend([r#"","model":"o3""#, r#","y":1}"#].map(Bytes::from));
    let split = |pieces: &[&'static str]| pieces.iter().copied().map(Bytes::from).collect();
    vec![
        behind_a_mebibyte,
        split(&[r#"{"model":"gpt-4o","messages":[]"#, r#","model":"o3"}"#]),
        split(&[r#"{"model":"gpt-4o","messages":[]"#, r#","mod"#, r#"\u0065l":"o3"}"#]),
        split(&[r#"{"model":"gpt-4o","messages":[]"#, r#","Model":"o3"}"#]),
        split(&[r#"{"model":"gpt-4o"}"#, r#"{"model":"o3"}"#]),
    ]
}

/// Sends `ask` piece by piece: the upstream has the first before the others leave.
fn sent(fixture: &Fixture, client: &mut Client, ask: &Ask) -> Answer {
    let begun = |fixture: &Fixture| bodies(&fixture.upstream).len();
    let before = begun(fixture);
    let mut exchange = client.begin(ask);
    exchange.send(&ask.pieces[0]);
    fixture.wait_until("the first piece is up", |fixture| begun(fixture) > before);
    for piece in &ask.pieces[1..] {
        exchange.send(piece);
    }
    exchange.end();
    let mut answer = exchange.head();
    while let Some(piece) = exchange.piece(&mut answer) {
        answer.pieces.push(piece);
    }
    answer
}

#[track_caller]
fn assert_never_whole(upstream: &Upstream, requests: usize) {
    let cut = |seen: &RequestSeen| seen.was_cancelled();
    let waited = upstream.wait_for(|log| log.requests.iter().all(cut), PATIENCE);
    let bodies = bodies(upstream);
    assert!(waited && bodies.len() == requests, "{} of {requests}", bodies.len());
    for seen in bodies {
        assert_eq!((&seen.body_sha256, seen.body_end_ns), (&None, None), "a whole body");
        assert!(!seen.body.windows(4).any(|text| text == b"\"o3\""), "{:?}", seen.body);
    }
}

#[test]
fn a_second_model_at_any_distance_cuts_the_upload() {
    for http2 in [false, true] {
        let fixture = proxy(http2, ok());
        let mut asked = 0;
        for speaks in CLIENTS {
            let mut client = speaks.connect(&fixture);
            for (nth, pieces) in doubled().into_iter().enumerate() {
                let length = if nth % 2 == 0 { Length::Unknown } else { Length::Known };
                eprintln!("client {speaks:?}, HTTP/2 upstream {http2}, body {nth}");
                let answer =
                    sent(&fixture, &mut client, &with_body("held", "").body(pieces, length));
                assert_refused(&answer, 400, "model_unreadable");
                asked += 1;
            }
            // All of it at once: it is refused before anybody is asked.
            let whole = with_body("held", r#"{"model":"gpt-4o","a":1,"model":"o3"}"#);
            assert_refused(&client.ask(&whole), 400, "model_unreadable");
            let told = whole.header("expect", "100-continue");
            if speaks == Speaks::Http1 {
                assert_refused(&client.ask(&told), 400, "model_unreadable");
            }
        }
        assert_never_whole(&fixture.upstream, asked);
        let mut client = Speaks::Http1.connect(&fixture);
        let honest = r#"{"model":"gpt-4o","messages":[{"model":"o3"}],"x":"\"model\":\"o3\""}"#;
        assert_eq!(client.ask(&with_body("held", honest)).body(), b"ok");
        // Two a minute for an hour; one comes back each half of a minute.
        let left = fixture.count("firstbyte_client_balance{client=\"held\",limit=\"rpm\"}");
        let made = asked as u64 + 1;
        assert!((120 - made..=120 - made + 2).contains(&left), "what went up counts: {left}");
        let log = fixture.access_log();
        let refused: Vec<_> =
            log.iter().filter(|line| line["error"] == json!("model_unreadable")).collect();
        assert_eq!(refused.len(), asked + 3);
        assert!(refused.iter().all(|line| line["outcome"] == "refused"), "{refused:?}");
    }
}

#[test]
fn a_second_field_of_a_form_cuts_the_upload() {
    let part = |name: &str, text: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    for http2 in [false, true] {
        let fixture = proxy(http2, ok());
        for speaks in CLIENTS {
            let pieces = [
                part("model", "gpt-4o-transcribe") + &part("file", "x\r\n--\0"),
                part("model", "\"o3\"") + "--b--\r\n",
            ];
            let ask = at("/v1/audio/transcriptions", ask("held"))
                .header("content-type", "multipart/form-data; boundary=b")
                .body(pieces.map(Bytes::from).into(), Length::Known);
            let answer = sent(&fixture, &mut speaks.connect(&fixture), &ask);
            assert_refused(&answer, 400, "model_unreadable");
        }
        assert_never_whole(&fixture.upstream, 2);
    }
}

/// The head is with the client: the stream fails, and what the client cannot be told the log says.
#[test]
fn behind_an_answer_that_came_early_the_stream_fails() {
    let early = || Script::new().early().stream().tokens(1, Duration::ZERO).await_body().done();
    let ask = with_body("held", "").body(doubled().remove(1), Length::Known);
    for http2 in [false, true] {
        let fixture = proxy(http2, early());
        for speaks in CLIENTS {
            let mut client = speaks.connect(&fixture);
            let mut exchange = client.begin(&ask);
            exchange.send(&ask.pieces[0]);
            let mut answer = exchange.head();
            assert_eq!(answer.status, 200);
            assert!(exchange.piece(&mut answer).is_some(), "a token");
            exchange.send(&ask.pieces[1]);
            exchange.end();
            if let Client::Http1(client) = client {
                let mut rest = Vec::new();
                let _closed = client.stream().read_to_end(&mut rest);
                assert!(!rest.ends_with(b"0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&rest));
            } else {
                fixture.wait_until("its stream has failed", |fixture| {
                    client.turn();
                    fixture.count("firstbyte_stream_end_total{outcome=\"refused\"}") == 2
                });
            }
        }
        assert_never_whole(&fixture.upstream, 2);
        let log = fixture.access_log();
        for line in &log {
            let told = (&line["status"], &line["error"], &line["outcome"]);
            assert_eq!(told, (&json!(200), &json!("model_unreadable"), &json!("refused")));
        }
        assert_eq!(log.len(), 2);
    }
}

/// `a` is asked first, then `b`.
fn pair(a: &Upstream, b: Upstream, group: &str) -> Fixture {
    let url = |of: &Upstream| of.base_url().trim_end_matches("/v1").to_owned();
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\naccess_log: off\nworkers: 1\n\
         upstreams: {{ a: {{ url: \"{}\" }}, b: {{ url: \"{}\" }} }}\n\
         groups: {{ any: {{ members: [{{ upstream: a }}, {{ upstream: b, tier: 1 }}]{group} }} }}\n\
         routes: [{{ path: /v1, upstream: any }}]\n{}",
        url(a),
        url(&b),
        clients(),
    );
    let fixture = Fixture::of_file(b, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    fixture
}

#[test]
fn after_a_failover_the_rest_is_looked_through_too() {
    let busy = Script::new().early().answer(503, &[], "busy");
    let a = Upstream::builder().clear().http1().script(busy).start().expect("it starts");
    let fixture = pair(&a, answering(|_| ok()), "");
    for pieces in doubled() {
        let ask = with_body("held", "").body(pieces, Length::Unknown);
        let answer = sent(&fixture, &mut Speaks::Http1.connect(&fixture), &ask);
        assert_refused(&answer, 400, "model_unreadable");
    }
    assert_never_whole(&fixture.upstream, doubled().len());
    let first = a.log().requests;
    assert!(!first.is_empty() && first.iter().all(|seen| seen.body_sha256.is_none()));
}

#[test]
fn a_hedge_gets_no_second_model_either() {
    let a = answering(|_| ok());
    let hedge = ", hedge: { quantile: 50, floor: 1ms, ceiling: 10ms, budget: 100 }";
    let fixture = pair(&a, answering(|_| ok()), hedge);
    let ask = with_body("held", "").body(doubled().remove(1), Length::Known);
    let mut client = Http1::new(fixture.connect());
    client.send_head(&ask);
    client.send_piece(&ask, &ask.pieces[0]);
    // It is late, and its body is not whole.
    fixture.wait_until("a hedge was thought of", |fixture| {
        fixture.count("firstbyte_attempts_prevented_total{reason=\"hedge_body\"}") == 1
    });
    client.send_piece(&ask, &ask.pieces[1]);
    assert_refused(&client.answer(&ask), 400, "model_unreadable");
    assert_never_whole(&a, 1);
    assert_eq!(fixture.upstream.requests(), 0);
}
