//! A request whose head or trailers an upstream may not be able to read: it is refused, or goes where it can
//! harm only its like.

use std::collections::HashSet;
use std::time::Duration;

use firstbyte::config::{self, Config};
use loadtest::upstream::{RequestSeen, Script, Seen, Upstream};

use crate::real::other_origins;
use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::{Answer, Ask, Length};
use crate::support::peers::http1_client::Http1;
use crate::support::peers::http2_client::Http2;
use crate::support::peers::raw_http1::Client;
use crate::support::peers::raw_upstream::{Reply, frame, http2_frames, lead_to};
use crate::support::refusal::assert_refused;

/// What hyper and other servers on `h2` announce.
const ANNOUNCED: u32 = 16 * 1024;

fn before(address: std::net::SocketAddr, change: impl FnOnce(&mut Config)) -> Fixture {
    Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, address, config::Protocol::Http2);
        change(config);
    })
}

fn with_head(lines: usize, each: usize) -> Ask {
    let value = "v".repeat(each);
    (0..lines).fold(Ask::get("/v1/models"), |ask, nth| ask.header(&format!("x-{nth}"), &value))
}

fn connections(all: &[&RequestSeen]) -> HashSet<u64> {
    all.iter().map(|seen| seen.connection).collect()
}

fn by_both(fixture: &Fixture, ask: &Ask) -> [Answer; 2] {
    [Http1::new(fixture.connect()).ask(ask), Http2::connect(fixture.address()).ask(ask)]
}

#[test]
fn a_head_that_the_upstream_says_it_cannot_take_is_refused_and_never_sent() {
    let origin = other_origins::hyper(Some(ANNOUNCED), "ok");
    let fixture = before(origin.address, |_| {});
    let mut refused = 0;
    // Few lines or many, over the bound by much or by little: our own lines are counted too.
    for (lines, each) in [(13, 3_000), (1, 60_000), (120, 120), (1, ANNOUNCED as usize - 100)] {
        for answer in by_both(&fixture, &with_head(lines, each)) {
            assert_refused(&answer, 431, "upstream_head_limit");
            refused += 1;
        }
    }
    for bytes in [ANNOUNCED as usize, 40_000] {
        let long = Ask::get(&format!("/v1/{}", "p".repeat(bytes)));
        for answer in by_both(&fixture, &long) {
            assert_refused(&answer, 431, "upstream_head_limit");
            refused += 1;
        }
    }
    assert_eq!(origin.requests(), 0, "one of them was sent");
    for answer in by_both(&fixture, &with_head(10, 1_500)) {
        assert_eq!(answer.status, 200, "under the bound it passes: {answer:?}");
    }
    let series = r#"firstbyte_upstream_oversize_heads_total{upstream="openai",what="request"}"#;
    assert_eq!(fixture.count(series), refused as u64);
    let log = fixture.access_log();
    let told: Vec<_> = log.iter().filter(|line| line["error"] == "upstream_head_limit").collect();
    assert_eq!(told.len(), refused);
    assert!(told.iter().all(|line| line["status"] == 431 && line["replays"] == 0));
}

#[test]
fn a_large_head_shares_a_connection_with_its_like_alone() {
    let stalls = Script::new().stream().body("data: 1\n\n").stall();
    let upstream = Upstream::builder().clear().http2().respond(move |seen: &Seen| {
        if seen.path.ends_with("/long") {
            stalls.clone()
        } else {
            Script::new().answer(200, &[], "")
        }
    });
    let fixture = Fixture::configured(upstream, |config| {
        let upstream = &mut config.upstreams[0];
        upstream.protocol = config::Protocol::Http2;
        upstream.pool.ping_interval = Duration::from_millis(500);
    });
    let mut neighbour = Client::connect(&fixture);
    neighbour.ask("/v1/long", b"{}");
    assert!(neighbour.head().is_some());
    let large = [with_head(1, 9_000), with_head(90, 10), with_head(8, 4_000)];
    for nth in 0..12 {
        for answer in by_both(&fixture, &large[nth % large.len()]) {
            assert_eq!(answer.status, 200);
        }
        for answer in by_both(&fixture, &with_head(20, 100)) {
            assert_eq!(answer.status, 200);
        }
    }
    let series = r#"firstbyte_upstream_oversize_heads_total{upstream="openai",what="apart"}"#;
    assert_eq!(fixture.count(series), 24);
    let log = fixture.upstream.log();
    let is_large = |seen: &RequestSeen| {
        let bytes = seen.headers.iter().map(|line| line.value.len()).sum::<usize>();
        bytes > 8_000 || seen.headers.len() > 64
    };
    let (apart, shared): (Vec<_>, Vec<_>) = log.requests.iter().partition(|seen| is_large(seen));
    assert_eq!((apart.len(), shared.len()), (24, 25));
    assert!(
        connections(&apart).is_disjoint(&connections(&shared)),
        "a large head went among small ones"
    );
    assert!(connections(&apart).len() < 4, "its connection is not kept for the next one");
    // And no longer than it is used.
    let kept = apart.last().expect("a request").connection;
    let closed = fixture.upstream.wait_for(
        |log| log.connections.iter().any(|one| one.number == kept && one.closed.is_some()),
        PATIENCE,
    );
    assert!(closed, "it is kept though nobody uses it");
}

/// An upstream by hand that announces no bound, and ends the connection over a head of more than 8 KiB. It
/// answers the first stream with a head alone, and ends that answer when the next head comes.
#[test]
fn what_costs_a_connection_costs_no_neighbour() {
    let mut open = None;
    let mut block = 0;
    let address = http2_frames(&frame(4, 0, 0, b""), move |kind, flags, stream, payload| {
        let mut close = false;
        let bytes = match (kind, flags & 1) {
            (4, 0) => frame(4, 1, 0, b""),
            (6, 0) => frame(6, 1, 0, payload),
            (1 | 9, _) => {
                block = if kind == 1 { payload.len() } else { block + payload.len() };
                if block > 8 * 1024 {
                    close = true;
                    let code = 11_u32.to_be_bytes();
                    frame(7, 0, 0, &[0_u32.to_be_bytes(), code].concat())
                } else if let Some(open) = open.take() {
                    [frame(0, 1, open, b"whole"), frame(1, 5, stream, &[0x88])].concat()
                } else {
                    open = Some(stream);
                    frame(1, 4, stream, &[0x88])
                }
            }
            _ => Vec::new(),
        };
        Reply { bytes, close }
    });
    let fixture = before(address, |config| {
        let pool = &mut config.upstreams[0].pool;
        (pool.min_connections, pool.max_connections) = (1, 1);
    });
    let mut neighbour = Client::connect(&fixture);
    neighbour.ask("/v1/long", b"");
    assert!(neighbour.head().is_some());
    for answer in by_both(&fixture, &with_head(13, 3_000)) {
        assert_refused(&answer, 502, "upstream_goaway");
    }
    assert_eq!(Http1::new(fixture.connect()).ask(&with_head(1, 10)).status, 200);
    assert!(neighbour.wait_for("whole\r\n0\r\n\r\n"), "the neighbour ends whole");
    assert_eq!(fixture.count(r#"firstbyte_replays_total{reason="goaway"}"#), 0);
}

/// nginx ends the connection over any trailers. Announced, they go where they can harm only their like;
/// otherwise they are left out.
#[test]
fn trailers_share_a_connection_with_their_like_alone() {
    let upstream = Upstream::builder().clear().http2().script(Script::new().answer(200, &[], "ok"));
    let fixture = Fixture::configured(upstream, |config| {
        config.upstreams[0].protocol = config::Protocol::Http2;
    });
    let chunked = || Ask::post("/v1/x", "").body(vec!["{}".into()], Length::Unknown);
    let asked = [
        chunked().trailer("x-sum", "1"),
        chunked().header("trailer", "x-sum").trailer("x-sum", "2"),
        chunked().header("te", "trailers").trailer("x-sum", "3"),
        Ask::get("/v1/x").header("te", "trailers"),
    ];
    for ask in &asked {
        for answer in by_both(&fixture, ask) {
            assert_eq!(answer.status, 200, "{ask:?}");
        }
    }
    let log = fixture.upstream.log();
    let sum = |seen: &RequestSeen| seen.trailers.first().map(|line| line.value.to_vec());
    let sums: Vec<_> = log.requests.iter().map(sum).collect();
    let (two, three) = (Some(b"2".to_vec()), Some(b"3".to_vec()));
    let expected = [None, None, two.clone(), two, three.clone(), three, None, None];
    assert_eq!(sums, expected);
    assert!(log.requests[..6].iter().all(|seen| seen.body_len == 2));
    let (apart, shared): (Vec<_>, Vec<_>) =
        log.requests.iter().partition(|seen| !seen.trailers.is_empty());
    assert!(connections(&apart).is_disjoint(&connections(&shared)), "among others");
}

#[test]
fn trailers_that_the_upstream_says_it_cannot_take_are_refused() {
    let origin = other_origins::hyper(Some(4 * 1024), "ok");
    let fixture = before(origin.address, |_| {});
    let chunked = || Ask::post("/v1/x", "").body(vec!["{}".into()], Length::Unknown);
    let large = chunked().header("trailer", "x-sum").trailer("x-sum", &"t".repeat(5_000));
    for answer in by_both(&fixture, &large) {
        assert_refused(&answer, 431, "trailers_too_large");
    }
    let small = chunked().header("trailer", "x-sum").trailer("x-sum", &"t".repeat(3_000));
    for answer in by_both(&fixture, &small) {
        assert_eq!(answer.status, 200);
    }
}
