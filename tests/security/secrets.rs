//! Keys go where they are meant to go and nowhere else.

use std::io::{Read, Write};

use loadtest::upstream::Script;

use crate::support::fixture::KEY;
use crate::support::message::{Answer, Ask};
use crate::support::pairing::{every_pairing, upstream};
use crate::support::peers::http1_client::Http1;
use crate::support::peers::http2_client::Http2;
use crate::support::talking_program::TalkingProgram;

/// The client's own key, which is nobody's business but ours.
pub(super) const THEIRS: &str = "sk-theirs-canary-9876543210";

fn asking(path: &str) -> Ask {
    Ask::post(path, r#"{"model":"m","stream":true,"messages":[]}"#)
        .header("authorization", &format!("Bearer {THEIRS}"))
        .header("openai-organization", "org-canary-theirs")
        .header("openai-project", "proj-canary-theirs")
}

pub(super) fn assert_clean(text: &str, what: &str) {
    for secret in [KEY, THEIRS, "canary"] {
        let at = text.find(secret);
        assert!(at.is_none(), "{secret} in {what}: {:?}", at.and_then(|at| text.get(at..at + 80)));
    }
}

pub(super) fn assert_answer_clean(answer: &Answer) {
    assert_clean(&format!("{answer:?}"), "an answer");
    assert_clean(&String::from_utf8_lossy(&answer.body()), "an answer's body");
}

#[test]
fn the_upstream_sees_our_key_alone_and_the_client_sees_none() {
    every_pairing(upstream, |fixture, client, _| {
        assert_answer_clean(&client.ask(&asking("/v1/chat/completions")));
        assert_answer_clean(&client.ask(&asking("/nowhere")));
        let log = fixture.upstream.log();
        let seen = log.requests.last().expect("a request");
        assert_eq!(seen.header_values("authorization"), [format!("Bearer {KEY}")]);
        let others =
            seen.headers.iter().filter(|line| !line.name.eq_ignore_ascii_case("authorization"));
        let rest: Vec<_> = others.collect();
        assert_clean(&format!("{rest:?}"), "a request's other headers");
        let (_, metrics) = fixture.admin("/metrics");
        assert_clean(&metrics, "the metrics");
    });
}

#[test]
fn without_a_key_of_ours_the_clients_goes_only_where_it_may() {
    for forward in [false, true] {
        let fixture = crate::support::fixture::Fixture::configured(upstream(), |config| {
            config.upstreams[0].key = None;
            config.upstreams[0].forward_authorization = forward;
        });
        Http1::new(fixture.connect()).ask(&asking("/v1/chat/completions"));
        let log = fixture.upstream.log();
        let theirs = format!("Bearer {THEIRS}");
        let expected: &[&str] = if forward { &[&theirs] } else { &[] };
        assert_eq!(log.requests[0].header_values("authorization"), expected);
        let organization = forward.then_some("org-canary-theirs");
        assert_eq!(log.requests[0].header("openai-organization"), organization);
    }
}

/// Everything that the process can be made to say, at the level at which its libraries say most.
#[test]
fn no_key_is_in_anything_that_the_process_says() {
    for tls in [true, false] {
        let upstream = if tls { upstream().http2() } else { upstream().clear().http1() };
        let upstream = upstream.respond(|seen| match seen.path_only() {
            "/v1/reset" => Script::new().stream().body("data: 1\n\n").reset(2),
            "/v1/refused" => Script::new().head(401, &[]).body("no").finish(),
            _ => Script::new().stream().body("data: [DONE]\n\n").finish(),
        });
        let upstream = upstream.start().expect("the mock upstream starts");
        let program = TalkingProgram::start(&upstream);
        let mut http2 = Http2::connect(program.address());
        for path in ["/v1/chat/completions?key=none", "/nowhere", "/v1/refused"] {
            assert_answer_clean(&Http1::new(program.connect()).ask(&asking(path)));
            assert_answer_clean(&http2.ask(&asking(path)));
        }
        // An answer that is cut, and a head that is not HTTP, are told of in other words.
        let mut cut = Http1::new(program.connect());
        cut.send(&asking("/v1/reset"));
        cut.head(&asking("/v1/reset"));
        let mut odd = program.connect();
        write!(
            odd,
            "POST /v1/x HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {THEIRS}\r\n: \r\n\r\n"
        )
        .expect("the proxy reads");
        let mut refused = String::new();
        odd.read_to_string(&mut refused).expect("an answer");
        assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
        assert_clean(&refused, "a refusal");
        for page in ["/metrics", "/stats", "/readyz"] {
            let mut admin = program.connect_admin();
            write!(admin, "GET {page} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                .expect("the admin listener reads");
            let mut text = String::new();
            admin.read_to_string(&mut text).expect("an answer");
            assert_clean(&text, page);
        }
        drop((http2, cut));
        let (stdout, stderr) = program.terminate();
        assert!(stdout.lines().count() >= 7, "the access log: {stdout}");
        assert_clean(&stdout, "the access log");
        assert!(!stderr.is_empty());
        assert_clean(&stderr, "stderr");
    }
}
