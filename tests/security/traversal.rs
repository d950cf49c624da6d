//! Paths that some server could read as leading out of their route, where our key goes with them: they
//! are refused, and an upstream that keeps every byte sees none of them.

use std::io::Write;

use firstbyte::config::Protocol;
use loadtest::upstream::{Script, Upstream};

use crate::support::fixture::Fixture;
use crate::support::message::Ask;
use crate::support::pairing::{CLIENTS, ORIGINS, upstream};
use crate::support::peers::http2_client::Http2;
use crate::support::peers::raw_http1::Client;
use crate::support::peers::raw_log::RawLog;
use crate::support::peers::raw_upstream::lead_to;
use crate::support::refusal::assert_refused;

/// Below `/v1`, each leads to `/admin` or to the root by one reading.
const OUT: &[&str] = &[
    "/v1/../admin",
    "/v1/..",
    "/v1/%2e%2e/admin",
    "/v1/%252e%252e/admin",
    "/v1/%25%32%65./admin",
    "/v1/a%2fb/../../admin",
    "/v1/a%2Fb/../../admin",
    "/v1/a%5cb/../../admin",
    "/v1/a%252fb/../../admin",
    "/v1/a%2fb%2fc/../%2e%2e/admin",
    "/v1/;%5cb/../admin",
    "/v1/;a/../admin",
    "/v1//../admin",
    "/v1/..%2fadmin",
    "/v1/..%5cadmin",
    "/v1/..;/admin",
    "/v1/..%3bx/admin",
    "/v1/..%00/admin",
    "/v1/.%09./admin",
    "/v1/%c0%ae%c0%ae/admin",
    "/v1/..%c0%afadmin",
    "/v1/x%/y/../../admin",
    "/v1/../v1/models",
    "/v1/../admin?q=/v1",
];

/// Honest, or harmless in every reading.
const IN: &[&str] = &[
    "/v1/models/org%2Fmodel",
    "/v1/models/gpt-4.1",
    "/v1/models/ft:gpt..x",
    "/v1/files/a..b",
    "/v1/files/100%25/content",
    "/v1/a/../b",
    "/v1/a%2fb/..",
    // What follows the path is nobody's path.
    "/v1/models?next=/../../admin",
    "/v1/models?next=a%2fb/../../%2e%2e;/",
];

/// A proxy whose route `/v1` leads to a base path of another name.
fn start(upstream: &RawLog, base_path: &str) -> Fixture {
    Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, upstream.address, Protocol::Http1);
        config.upstreams[0].base_path = base_path.into();
    })
}

#[test]
fn a_path_that_may_be_read_to_leave_its_route_is_400_and_never_seen_upstream() {
    let upstream = RawLog::start();
    for base_path in ["/v1", "/openai/v1"] {
        let fixture = start(&upstream, base_path);
        for target in OUT {
            // The absolute form names the same path.
            for (method, begin) in [("GET", ""), ("POST", ""), ("OPTIONS", ""), ("GET", "http://a")]
            {
                let mut client = Client::connect(&fixture);
                let head = format!("{method} {begin}{target} HTTP/1.1\r\nhost: a\r\n");
                let rest = "content-length: 0\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
                client.stream.write_all(format!("{head}{rest}").as_bytes()).expect("is read");
                let answer = client.answer().expect("an answer");
                assert_eq!(answer.status, 400, "{method} {begin}{target}");
                assert!(answer.text().contains("\"bad_request\""), "{}", answer.text());
            }
        }
        let log = upstream.log();
        assert_eq!((log.heads, &log.faults[..]), (0, &[][..]), "{log:?}");
    }
}

#[test]
fn the_same_is_refused_between_all_kinds_of_http() {
    for (origin, speaks) in ORIGINS.into_iter().zip(CLIENTS.into_iter().cycle()) {
        let answers = upstream().respond(|_| Script::new().answer(200, &[], ""));
        let fixture = origin.fixture(answers);
        for target in OUT {
            // A connection of its own: over HTTP/1.1 it does not outlive the refusal.
            let answer = speaks.connect(&fixture).ask(&Ask::get(target));
            assert_refused(&answer, 400, "bad_request");
        }
        assert_eq!(fixture.upstream.requests(), 0);
        let mut client = speaks.connect(&fixture);
        for target in IN {
            assert_eq!(client.ask(&Ask::get(target)).status, 200, "{target}");
            assert_eq!(fixture.upstream.log().requests.last().expect("one").path, *target);
        }
    }
}

#[test]
fn honest_paths_reach_the_upstream_below_its_base_path() {
    let upstream = RawLog::start();
    let fixture = start(&upstream, "/openai/v1");
    let mut http1 = Client::connect(&fixture);
    let mut http2 = Http2::connect(fixture.address());
    for target in IN {
        let mapped = format!("/openai{target}");
        http1.ask(target, b"");
        assert_eq!(http1.answer().expect("an answer").text(), mapped);
        assert_eq!(http2.ask(&Ask::get(target)).body(), mapped.as_bytes());
    }
}
