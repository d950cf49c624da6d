//! A peer that falls silent: nothing new goes there, what is there may still wake, and nobody waits for a
//! connect meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use firstbyte::config::{Config, Hedge, Protocol};
use loadtest::upstream::{Script, Seen, Step, Upstream};
use rustix::process::Signal;

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::group::{Several, ask as post, ok};
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::raw_http1::Client;
use crate::support::peers::raw_upstream::{Reply, frame, http2_frames, lead_to};
use crate::support::program::{Program, file_for};

const COLD: &str = r#"firstbyte_cold_requests_total{upstream="openai"}"#;

/// Suspect soon, though not as soon as a busy machine may be late, and never given up within a test. Only
/// what was sent leads to a PING.
fn quick_suspicion(config: &mut Config) {
    for upstream in &mut config.upstreams {
        upstream.pool.ping_interval = PATIENCE * 3;
        upstream.pool.ping_after = Duration::from_millis(200);
        upstream.pool.suspect_after = Duration::from_secs(2);
        upstream.pool.ping_timeout = PATIENCE * 3;
    }
}

fn connections(state: &str) -> String {
    format!(r#"firstbyte_upstream_connections{{upstream="openai",state="{state}"}}"#)
}

fn silences(upstream: &str, step: &str) -> String {
    format!(r#"firstbyte_upstream_silences_total{{upstream="{upstream}",step="{step}"}}"#)
}

fn silent(upstream: &str) -> String {
    format!(r#"firstbyte_upstream_silent{{upstream="{upstream}"}}"#)
}

/// An HTTP/2 upstream that, once told to, says nothing at all on the connection that is asked next.
#[derive(Clone)]
struct OneMute {
    to_mute: Arc<AtomicBool>,
    /// Answers begin and do not end.
    hold: Arc<AtomicBool>,
    opened: Arc<AtomicUsize>,
    mute: Arc<AtomicUsize>,
    /// Requests on the mute connection, and on all others.
    asked: Arc<[AtomicUsize; 2]>,
}

impl OneMute {
    fn new() -> Self {
        let mute = Arc::new(AtomicUsize::new(usize::MAX));
        Self {
            to_mute: Arc::default(),
            hold: Arc::default(),
            opened: Arc::default(),
            mute,
            asked: Arc::default(),
        }
    }

    fn start(&self) -> std::net::SocketAddr {
        let this = self.clone();
        let mut number = None;
        http2_frames(&frame(4, 0, 0, b""), move |kind, flags, stream, payload| {
            let number = *number.get_or_insert_with(|| this.opened.fetch_add(1, Ordering::Relaxed));
            let mut bytes = match (kind, flags & 1) {
                (4, 0) => frame(4, 1, 0, b""),
                (6, 0) => frame(6, 1, 0, payload),
                (0 | 1, 1) => this.request(number, stream),
                _ => Vec::new(),
            };
            if this.is_mute(number) {
                bytes.clear();
            }
            Reply { bytes, close: false }
        })
    }

    fn request(&self, number: usize, stream: u32) -> Vec<u8> {
        if self.to_mute.swap(false, Ordering::Relaxed) {
            self.mute.store(number, Ordering::Relaxed);
        }
        self.asked[usize::from(!self.is_mute(number))].fetch_add(1, Ordering::Relaxed);
        let end = u8::from(!self.hold.load(Ordering::Relaxed));
        [frame(1, 4, stream, &[0x88]), frame(0, end, stream, b"{}")].concat()
    }

    fn is_mute(&self, number: usize) -> bool {
        self.mute.load(Ordering::Relaxed) == number
    }

    fn asked(&self) -> [usize; 2] {
        [0, 1].map(|nth| self.asked[nth].load(Ordering::Relaxed))
    }
}

#[test]
fn new_requests_leave_a_silent_connection_for_the_warm_one_and_none_waits_for_a_connect() {
    let upstream = OneMute::new();
    let address = upstream.start();
    let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, address, Protocol::Http2);
        quick_suspicion(config);
    });
    upstream.to_mute.store(true, Ordering::Relaxed);
    let mut lost = Client::connect(&fixture);
    lost.ask("/v1/lost", b"{}");
    fixture.wait_until("one is suspect", |f| f.count(&connections("suspect")) == 1);
    // The others carry more than the one that was left: by load alone it would be asked first.
    upstream.hold.store(true, Ordering::Relaxed);
    let mut held: Vec<_> = (0..10).map(|_| Client::connect(&fixture)).collect();
    for client in &mut held {
        client.ask("/v1/held", b"{}");
        assert!(client.wait_for("{}"), "it was sent into the silence");
    }
    upstream.hold.store(false, Ordering::Relaxed);
    for _ in 0..50 {
        let mut client = Client::connect(&fixture);
        client.ask("/v1/x", b"{}");
        assert_eq!(client.answer().expect("an answer").status, 200);
    }
    assert_eq!(upstream.asked(), [1, 60], "there is only the request that found it out");
    fixture.wait_until("it is replaced", |f| f.count(&connections("ready")) == 2);
    assert_eq!((fixture.count(&connections("suspect")), fixture.count(COLD)), (1, 0));
    assert_eq!(fixture.count(&silent("openai")), 0, "others of it answer");
}

#[test]
fn a_model_that_thinks_for_long_is_asked_and_never_suspected() {
    // Longer than a PING and its patience.
    let thinks = Script::new().wait(Duration::from_millis(2_500)).stream().body("data: x\n\n");
    let fixture = Fixture::configured(
        Upstream::builder().http2().script(thinks.step(Step::Done).finish()),
        quick_suspicion,
    );
    let mut clients: Vec<_> = (0..8).map(|_| Client::connect(&fixture)).collect();
    for client in &mut clients {
        client.ask("/v1/x", b"{}");
    }
    for client in &mut clients {
        assert!(client.answer().expect("an answer").whole);
    }
    assert_eq!(fixture.count(&silences("openai", "suspected")), 0);
    assert_eq!(fixture.upstream.log().connections.len(), 2);
}

/// `/v1/long` streams for some seconds.
fn lasting(seen: &Seen) -> Script {
    if seen.path != "/v1/long" {
        return Script::new().answer(200, &[], "{}");
    }
    let begun = Script::new().stream().body("data: x\n\n");
    begun.tokens(40, Duration::from_millis(100)).step(Step::Done).finish()
}

#[test]
fn streams_of_a_peer_that_wakes_again_go_on_and_so_do_requests_that_had_nowhere_else_to_go() {
    let upstream = Upstream::builder().http2().respond(lasting);
    let fixture = Fixture::configured(upstream, quick_suspicion);
    let mut long = Client::connect(&fixture);
    long.ask("/v1/long", b"{}");
    assert!(long.wait_for("data: x"));
    fixture.upstream.freeze();
    let mut short = Client::connect(&fixture);
    short.ask("/v1/x", b"{}");
    fixture.wait_until("all of it is silent", |f| f.count(&silent("openai")) == 1);
    let mut late = Client::connect(&fixture);
    late.ask("/v1/x", b"{}");
    let streams = r#"firstbyte_upstream_streams{upstream="openai"}"#;
    fixture.wait_until("it is sent all the same", |f| f.count(streams) == 3);
    fixture.upstream.thaw();
    for client in [&mut short, &mut late] {
        assert_eq!(client.answer().expect("an answer").status, 200);
    }
    assert!(long.answer().expect("a head").whole, "the stream survived");
    fixture.wait_until("both are trusted again", |f| f.count(&silences("openai", "cleared")) >= 2);
    assert_eq!((fixture.count(&silences("openai", "given_up")), fixture.count(COLD)), (0, 0));
}

#[test]
fn a_group_leaves_a_silent_member_out_before_anybody_fails_there_and_takes_it_back_when_it_wakes() {
    let several = Several::configured(&[ok("from a"), ok("from b")], quick_suspicion);
    assert_eq!(several.ask(&post()).body(), b"from a");
    several.fixture.upstream.freeze();
    let mut first = Http1::new(several.fixture.connect());
    first.send(&post());
    several.fixture.wait_until("`a` is silent", |f| f.count(&silent("a")) == 1);
    for _ in 0..50 {
        assert_eq!(several.ask(&post()).body(), b"from b");
    }
    assert!(!first.has_more(), "it waits where it was sent");
    several.fixture.upstream.thaw();
    assert_eq!(first.answer(&post()).body(), b"from a", "it survived");
    several.fixture.wait_until("`a` is asked again", |_| several.ask(&post()).body() == b"from a");
    let ejections = r#"firstbyte_upstream_ejections_total{upstream="a",cause="in_a_row"}"#;
    assert_eq!(several.fixture.count(ejections), 0);
    for line in several.access_log() {
        assert_eq!(
            (&line["cold"], &line["failovers"]),
            (&false.into(), &serde_json::json!([])),
            "{line}"
        );
    }
}

/// The kernel of a stopped process goes on acknowledging: only the silence above it tells.
#[test]
fn a_group_leaves_a_stopped_process_out_and_takes_it_back_when_it_goes_on() {
    let behind = Upstream::builder().script(ok("from a")).start().expect("it starts");
    let process = Program::start(&file_for(&behind));
    process.wait_until("it is ready", |process| process.status("/readyz") == 200);
    let several = Several::configured(&[ok("nobody"), ok("from b")], |config| {
        quick_suspicion(config);
        config.upstreams[0].host = process.address.ip().to_string();
        config.upstreams[0].port = process.address.port();
    });
    assert_eq!(several.ask(&post()).body(), b"from a");
    process.signal(Signal::STOP);
    let mut first = Http1::new(several.fixture.connect());
    first.send(&post());
    several.fixture.wait_until("`a` is silent", |f| f.count(&silent("a")) == 1);
    for _ in 0..20 {
        assert_eq!(several.ask(&post()).body(), b"from b");
    }
    process.signal(Signal::CONT);
    assert_eq!(first.answer(&post()).body(), b"from a", "it survived");
    several.fixture.wait_until("`a` is asked again", |_| several.ask(&post()).body() == b"from a");
    assert!(several.access_log().iter().all(|line| line["cold"] == false));
}

#[test]
fn nobody_silent_is_asked_beside_one_that_is_late() {
    let late = Script::new().wait(Duration::from_secs(1)).answer(200, &[], "from a");
    let several = Several::configured(&[late, ok("from b")], |config| {
        quick_suspicion(config);
        let ceiling = Duration::from_millis(100);
        let floor = Duration::from_millis(1);
        config.groups[0].hedge = Some(Hedge { quantile: 95, floor, ceiling, budget: 100 });
    });
    several.others[0].freeze();
    assert_eq!(several.ask(&post()).body(), b"from a");
    several.fixture.wait_until("`b` is silent", |f| f.count(&silent("b")) == 1);
    let hedges = |line: &serde_json::Value| !line["hedge"].is_null();
    for _ in 0..3 {
        assert_eq!(several.ask(&post()).body(), b"from a");
    }
    let log: Vec<_> = several.access_log().iter().map(hedges).collect();
    assert_eq!(log, [true, false, false, false]);
}

#[test]
fn a_member_given_up_for_its_silence_is_asked_again_once_it_can_be_connected_to() {
    let several = Several::configured(&[ok("from a"), ok("from b")], |config| {
        quick_suspicion(config);
        config.upstreams[0].pool.ping_timeout = Duration::from_secs(1);
    });
    several.fixture.upstream.freeze();
    let mut lost = Http1::new(several.fixture.connect());
    lost.send(&Ask::post("/v1/x", "{}"));
    several.fixture.wait_until("it is given up", |f| f.count(&silences("a", "given_up")) >= 2);
    for _ in 0..10 {
        assert_eq!(several.ask(&post()).body(), b"from b", "no request waits for its connects");
    }
    several.fixture.upstream.thaw();
    several.fixture.wait_until("`a` is asked again", |_| several.ask(&post()).body() == b"from a");
}
