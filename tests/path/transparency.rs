//! What the client sends reaches the upstream and what the upstream answers reaches the client,
//! except for what HTTP forbids to forward and what the operator configured.

use bytes::Bytes;
use loadtest::upstream::{RequestSeen, Script};

use crate::support::fixture::Fixture;
use crate::support::message::{Ask, Length};
use crate::support::pairing::{Origin, every_pairing, upstream};
use crate::support::peers::http1_client::Http1;

fn last(fixture: &Fixture) -> RequestSeen {
    fixture.upstream.log().requests.last().cloned().expect("a request")
}

#[test]
fn every_method_passes() {
    every_pairing(
        || upstream().respond(|_| Script::new().answer(200, &[], "")),
        |fixture, client, _| {
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PURGE"] {
                assert_eq!(client.ask(&Ask::get("/v1/x").method(method)).status, 200, "{method}");
                assert_eq!(last(fixture).method, method);
                let ask = Ask::post("/v1/x", "body").method(method);
                assert_eq!(client.ask(&ask).status, 200, "{method}");
                assert_eq!((last(fixture).method.as_str(), last(fixture).body_len), (method, 4));
            }
        },
    );
}

#[test]
fn paths_known_and_unknown_pass_with_their_query_byte_for_byte() {
    every_pairing(
        || upstream().respond(|_| Script::new().answer(200, &[], "")),
        |fixture, client, _| {
            for target in [
                "/v1/chat/completions",
                "/v1",
                "/v1/",
                "/v1/v1/models",
                "/v1//double//slashes",
                "/v1/./a/../b",
                "/v1/%2F%7euser;p=1",
                "/v1/models?",
                "/v1/models?a=1&a=2&b=&&=c",
                "/v1/models?q=%zz+%20/?:@!$'()*,[]{}|^`",
                "/v1/assistants/threads/x.y~z-_",
            ] {
                assert_eq!(client.ask(&Ask::get(target)).status, 200, "{target}");
                assert_eq!(last(fixture).path, target);
            }
        },
    );
}

#[test]
fn a_base_url_of_another_path_takes_the_place_of_v1_once() {
    let upstream = upstream().respond(|_| Script::new().answer(200, &[], ""));
    let fixture = Origin::TlsHttp2.configured(upstream, |config| {
        config.upstreams[0].base_path = "/openai/v1".into();
    });
    let mut client = Http1::new(fixture.connect());
    for (asked, seen) in [
        ("/v1/models?a=/v1", "/openai/v1/models?a=/v1"),
        ("/v1", "/openai/v1"),
        ("/v1/v1", "/openai/v1/v1"),
    ] {
        client.ask(&Ask::get(asked));
        assert_eq!(last(&fixture).path, seen);
    }
}

/// What an upstream may say that is for the client and nobody else.
const SAID: [(&str, &str); 18] = [
    ("content-type", "application/json; odd=\"q;v\""),
    ("location", "https://elsewhere.test/v1?x"),
    ("retry-after", "7"),
    ("retry-after-ms", "6500"),
    ("x-should-retry", "false"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-remaining-tokens", "0"),
    ("x-ratelimit-reset-tokens", "6m0s"),
    ("x-request-id", "req_0123456789abcdef"),
    ("openai-organization", "org-theirs"),
    ("openai-processing-ms", "123"),
    ("openai-version", "2020-10-01"),
    ("set-cookie", "b=2; Path=/"),
    ("set-cookie", "a=1; HttpOnly"),
    ("set-cookie", "b=3"),
    ("www-authenticate", "Bearer realm=\"x\""),
    ("cf-ray", "8a-FRA"),
    ("date", "Tue, 01 Jan 2030 00:00:00 GMT"),
];

/// What we and HTTP/1.1's framing may add.
const ADDED: [&str; 4] = ["via", "x-firstbyte-request-id", "content-length", "connection"];

#[test]
fn every_status_passes_with_all_its_headers_after_a_single_attempt() {
    let statuses = [
        200, 201, 202, 206, 300, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 408, 409, 413,
        418, 422, 429, 451, 499, 500, 501, 502, 503, 504, 520, 529, 599, 999,
    ];
    every_pairing(
        || {
            upstream().respond(move |seen| {
                let status = seen.header("x-status").and_then(|status| status.parse().ok());
                Script::new().answer(status.expect("a status"), &SAID, r#"{"error":{"a":"é"}}"#)
            })
        },
        |fixture, client, _| {
            for status in statuses {
                let before = fixture.upstream.requests();
                let ask = Ask::post("/v1/chat/completions", "{}");
                let came = client.ask(&ask.header("x-status", &status.to_string()));
                assert_eq!(came.status, status);
                assert_eq!(came.body(), r#"{"error":{"a":"é"}}"#.as_bytes());
                for (name, _) in SAID {
                    let said: Vec<_> = SAID.iter().filter(|(n, _)| *n == name).collect();
                    let said: Vec<_> = said.iter().map(|(_, value)| *value).collect();
                    assert_eq!(came.header_values(name), said, "{status}: {name}");
                }
                let known = |name: &str| ADDED.contains(&name) || SAID.iter().any(|s| s.0 == name);
                let more: Vec<_> = came.headers.iter().filter(|(name, _)| !known(name)).collect();
                assert!(more.is_empty(), "{status}: {more:?}");
                assert_eq!(fixture.upstream.requests(), before + 1, "{status} is not retried");
            }
        },
    );
}

#[test]
fn the_clients_headers_reach_the_upstream_in_order_and_unchanged() {
    let said = [
        ("user-agent", "OpenAI/Python 1.0"),
        ("x-stainless-retry-count", "0"),
        ("idempotency-key", "k-1"),
        ("content-type", "multipart/form-data; boundary=\"--x\""),
        ("accept", "text/event-stream"),
        ("accept", "application/json;q=0.5"),
        ("x-request-id", "mine"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("openai-beta", "assistants=v2"),
        ("x-empty", ""),
    ];
    every_pairing(
        || upstream().respond(|_| Script::new().answer(200, &[], "")),
        |fixture, client, _| {
            let ask = Ask::post("/v1/files", "{}");
            client.ask(&said.iter().fold(ask, |ask, (name, value)| ask.header(name, value)));
            let seen = last(fixture);
            for (name, _) in said {
                let sent: Vec<_> = said.iter().filter(|(n, _)| *n == name).collect();
                let sent: Vec<_> = sent.iter().map(|(_, value)| *value).collect();
                assert_eq!(seen.header_values(name), sent, "{name}");
            }
        },
    );
}

#[test]
fn the_request_is_addressed_to_the_upstream_and_says_how_it_came() {
    every_pairing(
        || upstream().respond(|_| Script::new().answer(200, &[], "")),
        |fixture, client, origin| {
            let ask = Ask::get("/v1/models").header("accept-encoding", "gzip, br");
            let ask = ask.header("x-forwarded-for", "10.0.0.1").header("forwarded", "for=10.0.0.1");
            let came = client.ask(&ask.header("via", "1.1 before"));
            let seen = last(fixture);
            let host = fixture.upstream.url().split_once("//").map(|(_, host)| host.to_owned());
            let address = if origin.is_http2() {
                assert!(seen.header_values("host").is_empty(), "beside :authority");
                seen.authority.clone()
            } else {
                seen.header("host").map(ToOwned::to_owned)
            };
            assert_eq!(address, host);
            assert_eq!(seen.header_values("accept-encoding"), ["identity"]);
            assert!(seen.header("x-forwarded-for").is_none() && seen.header("forwarded").is_none());
            let hop = if client.is_http2() { "2 firstbyte" } else { "1.1 firstbyte" };
            assert_eq!(seen.header_values("via"), ["1.1 before", hop]);
            let hop = if origin.is_http2() { "2 firstbyte" } else { "1.1 firstbyte" };
            assert_eq!(came.header_values("via"), [hop]);
            assert_eq!(came.header_values("x-firstbyte-request-id").len(), 1);
        },
    );
}

#[test]
fn event_streams_ask_others_not_to_buffer_and_nothing_else_does() {
    every_pairing(
        || {
            upstream().respond(|seen| {
                let kind = seen.header("x-kind").expect("a kind").to_owned();
                let lines = [("content-type", kind.as_str()), ("x-accel-buffering", "yes")];
                let lines = &lines[..if seen.path.ends_with("own") { 2 } else { 1 }];
                Script::new().answer(200, lines, "data: x\n\n")
            })
        },
        |_, client, _| {
            for (kind, path, expected) in [
                ("text/event-stream", "/v1/x", Some("no")),
                ("Text/Event-Stream; charset=utf-8", "/v1/x", Some("no")),
                ("application/json", "/v1/x", None),
                ("text/event-stream", "/v1/own", Some("yes")),
            ] {
                let came = client.ask(&Ask::get(path).header("x-kind", kind));
                assert_eq!(came.header("x-accel-buffering"), expected, "{kind} {path}");
            }
        },
    );
}

/// HTTP/1.1 may drop trailers, and hyper does where they were not announced upstream; HTTP/2 carries them
/// whatever the other side speaks.
#[test]
fn trailers_pass_wherever_the_receiving_side_speaks_http2() {
    let text = |body: &[u8]| Bytes::copy_from_slice(body);
    every_pairing(
        || {
            let script = || Script::new().stream().body("data: x\n\n");
            upstream().respond(move |_| script().trailers(&[("x-sum", "42"), ("x-sum", "43")]))
        },
        |fixture, client, origin| {
            let ask = Ask::post("/v1/files", "").body(vec![text(b"up")], Length::Unknown);
            let ask = ask.header("te", "trailers").trailer("x-up", "1").trailer("x-up", "2");
            let came = client.ask(&ask);
            assert_eq!(came.body(), b"data: x\n\n");
            let seen = last(fixture);
            assert_eq!(seen.body_len, 2);
            let up: Vec<_> = seen.trailers.iter().map(|line| line.value.clone()).collect();
            if origin.is_http2() {
                assert_eq!(up, [text(b"1"), text(b"2")]);
                assert_eq!(seen.header_values("te"), ["trailers"]);
            }
            if client.is_http2() {
                let down: Vec<_> = came.trailers.iter().map(|(_, value)| value.as_str()).collect();
                assert_eq!(down, ["42", "43"]);
            }
        },
    );
}

#[test]
fn a_client_that_expects_100_continue_gets_it_and_the_upstream_is_not_asked_for_it() {
    for origin in [Origin::ClearHttp1, Origin::TlsHttp2] {
        let upstream =
            upstream().respond(|_| Script::new().informational(103).answer(200, &[], ""));
        let fixture = origin.fixture(upstream);
        let mut client = Http1::new(fixture.connect());
        for _ in 0..2 {
            let ask = Ask::post("/v1/files", "body").header("expect", "100-continue");
            client.send_head(&ask);
            client.read_interim(100);
            client.send_piece(&ask, b"body");
            assert_eq!(client.answer(&ask).status, 200);
            assert_eq!((last(&fixture).header("expect"), last(&fixture).body_len), (None, 4));
        }
    }
}
