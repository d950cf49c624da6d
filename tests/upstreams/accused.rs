//! An upstream that ends a shared connection with an error: what it may be ended for goes nowhere else by
//! itself, whatever the operator lets lead on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use firstbyte::config::{Config, Hedge, Triggers};
use loadtest::upstream::Script;

use crate::support::fixture::PATIENCE;
use crate::support::group::{Several, ask, ok};
use crate::support::peers::http1_client::Http1;
use crate::support::peers::raw_http1::Client;
use crate::support::peers::raw_upstream::{Reply, frame, http2_frames};
use crate::support::refusal::assert_refused;

const ENHANCE_YOUR_CALM: u32 = 11;

/// What answers a stream's head.
#[derive(Clone, Copy)]
enum Then {
    Nothing,
    Answer,
    /// GOAWAY with this last stream, and the connection's end.
    GoAway {
        last: u32,
    },
}

/// The first member, by hand: `then` says what comes of a stream. How many heads it saw.
fn first(then: impl Fn(u32) -> Then + Clone + Send + 'static) -> (u16, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let address = http2_frames(&frame(4, 0, 0, b""), move |kind, flags, stream, payload| {
        let mut close = false;
        let bytes = match (kind, flags & 1) {
            (4, 0) => frame(4, 1, 0, b""),
            (6, 0) => frame(6, 1, 0, payload),
            (1, _) => {
                counted.fetch_add(1, Ordering::Relaxed);
                match then(stream) {
                    Then::Nothing => Vec::new(),
                    Then::Answer => frame(1, 5, stream, &[0x88]),
                    Then::GoAway { last } => {
                        close = true;
                        let code = ENHANCE_YOUR_CALM.to_be_bytes();
                        frame(7, 0, 0, &[last.to_be_bytes(), code].concat())
                    }
                }
            }
            _ => Vec::new(),
        };
        Reply { bytes, close }
    });
    (address.port(), seen)
}

/// That one before a member who would answer, with one connection, and everything leading on.
fn before_another(port: u16, change: impl FnOnce(&mut Config)) -> Several {
    Several::configured(&[Script::new().stall(), ok("from b")], |config| {
        let upstream = &mut config.upstreams[0];
        upstream.port = port;
        (upstream.pool.min_connections, upstream.pool.max_connections) = (1, 1);
        let all = Triggers::HEAD_TIMEOUT.and(Triggers::CLOSED).and(Triggers::FIRST_FRAME_TIMEOUT);
        config.groups[0].failover_on = all;
        config.groups[0].retry.times = 3;
        change(config);
    })
}

#[test]
fn what_a_connection_is_ended_for_is_not_sent_again_and_goes_nowhere_else() {
    let hedged = |config: &mut Config| {
        let (floor, ceiling) = (Duration::from_secs(5), Duration::from_secs(5));
        config.groups[0].hedge = Some(Hedge { quantile: 50, floor, ceiling, budget: 100 });
    };
    // Above the last stream, and below it: Go names the one that it could not read as its last.
    for last in [0, 1] {
        for hedging in [false, true] {
            let (port, seen) = first(move |_| Then::GoAway { last });
            let several = before_another(port, |config| {
                if hedging {
                    hedged(config);
                }
            });
            assert_refused(&several.ask(&ask()), 502, "upstream_goaway");
            assert_eq!(seen.load(Ordering::Relaxed), 1, "last {last}: sent again");
            assert_eq!(several.asked()[1], 0, "last {last}: sent elsewhere");
            let log = several.access_log();
            assert_eq!((&log[0]["replays"], &log[0]["attempts"]), (&0.into(), &1.into()));
            assert_eq!(log[0]["error"], "upstream_goaway");
        }
    }
}

/// Heads are read in their order. Whoever was sent before one that is answered did no harm.
#[test]
fn who_was_sent_before_an_answered_one_is_no_suspect() {
    let (port, seen) = first(|stream| match stream {
        1 => Then::Nothing,
        3 => Then::Answer,
        last => Then::GoAway { last },
    });
    let several = before_another(port, |_| {});
    let mut innocent = Http1::new(several.fixture.connect());
    innocent.send(&ask());
    several.fixture.wait_until("it is there", |_| seen.load(Ordering::Relaxed) == 1);
    assert_eq!(several.ask(&ask()).status, 200);
    assert_refused(&several.ask(&ask()), 502, "upstream_goaway");
    let answer = innocent.answer(&ask());
    assert_eq!((answer.status, &*answer.body()), (200, &b"from b"[..]), "it may be sent elsewhere");
    assert_eq!((seen.load(Ordering::Relaxed), several.asked()[1]), (3, 1));
}

/// A GOAWAY of `NO_ERROR` accuses nobody: what it disowns is sent again.
#[test]
fn an_orderly_goaway_is_seen_by_nobody() {
    let several = Several::scripted(&[Script::new().goaway(loadtest::upstream::Goaway::BelowThis)]);
    let mut client = Client::connect(&several.fixture);
    client.ask("/v1/x", b"{}");
    let goaways = r#"firstbyte_replays_total{reason="goaway"}"#;
    several.fixture.wait_until("it is sent again", |fixture| fixture.count(goaways) > 0);
    assert!(several.fixture.upstream.wait_for(|log| log.requests.len() == 4, PATIENCE));
}
