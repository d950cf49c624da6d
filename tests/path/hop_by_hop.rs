//! What concerns one connection only stays on it, and no client can name our own fields away.

use loadtest::upstream::{RequestSeen, Script};

use crate::support::fixture::{Fixture, KEY};
use crate::support::message::{Ask, Length};
use crate::support::pairing::{CLIENTS, ORIGINS, Origin, upstream};
use crate::support::peers::http1_client::Http1;

/// The `Connection` lines of one request each.
fn spellings() -> Vec<Vec<String>> {
    let many: Vec<String> = (0..200).map(|n| format!("x-name-{n}")).collect();
    let names = many.join(", ");
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    vec![
        lines(&["authorization"]),
        lines(&["Authorization"]),
        lines(&["AUTHORIZATION, Host, Content-Length"]),
        lines(&["keep-alive, \t authorization\t,host"]),
        lines(&[",, authorization,, "]),
        lines(&["keep-alive", "authorization"]),
        lines(&["authorization", "keep-alive"]),
        lines(&["x-a", "authorization, via", "x-b, accept-encoding"]),
        lines(&["\"authorization\"", "authorization"]),
        lines(&[&names, "authorization, host, x-firstbyte-request-id"]),
        vec![format!("{names}, authorization"), "host".to_owned()],
    ]
}

#[test]
fn no_spelling_of_connection_takes_our_key_or_our_host_away() {
    for origin in ORIGINS {
        let fixture = origin.fixture(upstream().respond(|_| Script::new().answer(200, &[], "ok")));
        let mut client = Http1::new(fixture.connect());
        for lines in spellings() {
            let mut ask = Ask::post("/v1/chat/completions", "{}")
                .header("authorization", "Bearer theirs")
                .header("x-a", "1")
                .header("x-name-7", "1");
            for line in &lines {
                ask = ask.header("connection", line);
            }
            assert_eq!(client.ask(&ask).status, 200, "{lines:?}");
            let seen = last(&fixture);
            let bearer = format!("Bearer {KEY}");
            assert_eq!(seen.header_values("authorization"), [bearer], "{lines:?}");
            assert_eq!(seen.body_len, 2, "{lines:?}");
            let host = seen.authority.as_deref().or(seen.header("host"));
            let port = fixture.upstream.addr().port().to_string();
            assert!(host.is_some_and(|host| host.ends_with(&port)), "{host:?} after {lines:?}");
            let named = lines.iter().any(|line| line.contains("x-name-7,"));
            assert_eq!(seen.header("x-name-7").is_none(), named, "{lines:?}");
            assert_no_hop_by_hop(&seen);
        }
    }
}

#[test]
fn a_requests_hop_by_hop_fields_go_no_further() {
    for origin in ORIGINS {
        let fixture = origin.fixture(upstream().respond(|_| Script::new().answer(200, &[], "ok")));
        let mut client = Http1::new(fixture.connect());
        let ask = Ask::post("/v1/files", "")
            .body(vec!["up".into()], Length::Unknown)
            .header("connection", "keep-alive, upgrade, http2-settings, te, x-mine")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "keep-alive")
            .header("proxy-authorization", "Basic eA==")
            .header("te", "gzip")
            .header("upgrade", "h2c")
            .header("http2-settings", "AAMAAABkAAQAAP__")
            .header("x-mine", "1")
            .header("x-other", "2");
        assert_eq!(client.ask(&ask).status, 200);
        let seen = last(&fixture);
        assert_no_hop_by_hop(&seen);
        assert!(seen.header("x-mine").is_none());
        assert_eq!((seen.header("x-other"), seen.body_len), (Some("2"), 2));
    }
}

/// Only HTTP/1.1 upstreams can send such fields.
#[test]
fn an_answers_hop_by_hop_fields_go_no_further() {
    let lines = [
        ("connection", "x-secret, keep-alive"),
        ("connection", "x-other"),
        ("keep-alive", "timeout=60"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authenticate", "Basic"),
        ("upgrade", "h3"),
        ("trailer", "x-sum"),
        ("x-secret", "1"),
        ("x-other", "2"),
        ("x-kept", "3"),
    ];
    for origin in [Origin::ClearHttp1, Origin::TlsHttp1] {
        let script = Script::new().answer(200, &lines, "ok");
        let fixture = origin.fixture(upstream().script(script));
        for speaks in CLIENTS {
            let came = speaks.connect(&fixture).ask(&Ask::get("/v1/models"));
            assert_eq!((came.status, came.body().as_slice()), (200, &b"ok"[..]));
            for (name, _) in lines {
                let expected = (name == "x-kept").then_some("3");
                assert_eq!(came.header(name), expected, "{name} to {speaks:?}");
            }
        }
    }
}

fn last(fixture: &Fixture) -> RequestSeen {
    fixture.upstream.log().requests.last().cloned().expect("a request")
}

fn assert_no_hop_by_hop(seen: &RequestSeen) {
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "upgrade",
        "http2-settings",
    ] {
        assert!(seen.header(name).is_none(), "{name} went upstream: {seen:?}");
    }
    let coding = seen.header_values("transfer-encoding");
    assert!(coding.len() <= 1 && (seen.stream == 0 || coding.is_empty()), "{coding:?}");
}
