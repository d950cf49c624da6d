//! `limits.adapt`: a limit that follows the first byte, and an upstream's own limits that are heeded before it refuses.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use firstbyte::config::{Adapt, Config};
use loadtest::upstream::{Builder, Script, Seen, Upstream};

use crate::operate::reload::{applied, file, ready, started};
use crate::support::fixture::Fixture;
use crate::support::group::{Several, ok};
use crate::support::message::{Answer, Ask};
use crate::support::peers::http1_client::Http1;
use crate::support::refusal::assert_refused;

const MS: Duration = Duration::from_millis(1);

/// From a slot to the first byte, and from there to the end.
const PREFILL: Duration = Duration::from_millis(20);
const DECODE: Duration = Duration::from_millis(60);
const SLOTS: usize = 8;

/// A model server: a request waits for a slot, in order, and its first byte comes some time after it has one. As vLLM
/// does, it sends the response head at once.
#[derive(Default)]
struct ModelServer {
    /// When each slot is free.
    free: Mutex<BinaryHeap<Reverse<Instant>>>,
    /// What each first byte takes, and when the request came.
    first_bytes: Mutex<Vec<(Instant, Duration)>>,
}

impl ModelServer {
    fn answer(&self) -> Script {
        let now = Instant::now();
        let mut free = self.free.lock().expect("no panic");
        let slot = if free.len() < SLOTS { now } else { free.pop().expect("slots").0.max(now) };
        let first = slot + PREFILL - now;
        free.push(Reverse(slot + PREFILL + DECODE));
        self.first_bytes.lock().expect("no panic").push((now, first));
        Script::new().stream().wait(first).tokens(1, MS).wait(DECODE).done()
    }

    /// Of requests that came since then: the median first byte, and how many there were.
    fn since(&self, then: Instant) -> (Duration, usize) {
        let all = self.first_bytes.lock().expect("no panic");
        let mut took: Vec<_> = all.iter().filter(|(at, _)| *at > then).map(|one| one.1).collect();
        took.sort_unstable();
        (took.get(took.len() / 2).copied().unwrap_or_default(), took.len())
    }
}

fn ask() -> Ask {
    Ask::post("/v1/chat/completions", r#"{"stream":true}"#)
}

fn serving(server: &Arc<ModelServer>) -> Builder {
    let server = Arc::clone(server);
    Upstream::builder().respond(move |_: &Seen| server.answer())
}

/// Forty clients, each of whom asks again when it was answered, and a little later when it was refused. What the
/// server saw in the second half: the median first byte, and how many requests.
fn crowd(fixture: &Fixture, server: &ModelServer, seconds: u32) -> (Duration, usize) {
    let (done, begun) = (AtomicBool::new(false), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                let mut client = Http1::new(fixture.connect());
                while !done.load(Ordering::Relaxed) {
                    if client.ask(&ask()).status != 200 {
                        std::thread::park_timeout(MS * 100); // what a client would do
                    }
                }
            });
        }
        std::thread::park_timeout(Duration::from_secs(seconds.into()));
        done.store(true, Ordering::Relaxed);
    });
    server.since(begun + Duration::from_secs(seconds.into()) / 2)
}

fn adapting(floor: usize, ceiling: usize) -> Adapt {
    Adapt { floor, ceiling, tolerance_percent: 200 }
}

fn of_upstream(floor: usize, ceiling: usize) -> impl Fn(&mut Config) {
    move |config| config.upstreams[0].adapt = Some(adapting(floor, ceiling))
}

/// The sum of what is shown of the limit.
fn shown(fixture: &Fixture, series: &str) -> u64 {
    fixture.count(&format!("firstbyte_limit_{series}"))
}

fn lowered(fixture: &Fixture, reason: &str) -> u64 {
    shown(fixture, &format!("lowered_total{{reason=\"{reason}\"}}"))
}

#[test]
fn under_a_crowd_first_bytes_stay_near_those_at_rest_and_as_much_is_served() {
    let (fixed, adaptive) = (Arc::<ModelServer>::default(), Arc::<ModelServer>::default());
    let without = Fixture::start(serving(&fixed));
    let (queued, most) = crowd(&without, &fixed, 3);
    drop(without);
    let with = Fixture::configured(serving(&adaptive), of_upstream(4, 40));
    let (quick, served) = crowd(&with, &adaptive, 6);
    assert!(queued > PREFILL * 8, "without it they wait for a slot: {queued:?}");
    assert!(quick < PREFILL * 4, "{quick:?} instead of {queued:?}");
    // In twice the time.
    assert!(served > most * 2 * 6 / 10, "{served} in 3 s, and {most} in 1.5 s without");
    let bound = shown(&with, "streams{upstream=\"openai\"}");
    assert!((4..=24).contains(&bound), "{bound} for {SLOTS} slots");
    assert!(lowered(&with, "latency") > 0);
    let stats: serde_json::Value = serde_json::from_str(&with.admin("/stats").1).expect("JSON");
    let limit = &stats["adaptive_limits"][0];
    assert_eq!((&limit["upstream"], &limit["in_flight"]), (&"openai".into(), &0.into()), "{limit}");
}

fn stalling() -> Builder {
    Upstream::builder().script(Script::new().stream().stall())
}

/// A stream that has begun and goes on until it is dropped.
fn begin(fixture: &Fixture) -> Http1 {
    let mut client = Http1::new(fixture.connect());
    client.send(&ask());
    assert_eq!(client.head(&ask()).status, 200);
    client
}

#[test]
fn a_route_s_adaptive_limit_is_429_and_an_upstream_s_503_or_the_next_member() {
    let route =
        Fixture::configured(stalling(), |config| config.routes[0].adapt = Some(adapting(1, 9)));
    let _first = begin(&route);
    assert_refused(&Http1::new(route.connect()).ask(&ask()), 429, "route_busy");
    assert_eq!(shown(&route, "streams_in_flight{route=\"/v1\"}"), 1);
    let upstream = Fixture::configured(stalling(), of_upstream(1, 9));
    let _first = begin(&upstream);
    assert_refused(&Http1::new(upstream.connect()).ask(&ask()), 503, "upstream_busy");
    let several =
        Several::configured(&[Script::new().stream().stall(), ok("b")], of_upstream(1, 9));
    let _first = begin(&several.fixture);
    assert_eq!(several.ask(&ask()).body(), b"b");
}

/// The fixed limit holds whatever the other one would allow.
#[test]
fn the_fixed_limit_is_never_passed() {
    let fixture = Fixture::configured(stalling(), |config| {
        (config.upstreams[0].streams, config.upstreams[0].adapt) = (Some(1), Some(adapting(5, 9)));
    });
    let _first = begin(&fixture);
    assert_refused(&Http1::new(fixture.connect()).ask(&ask()), 503, "upstream_busy");
}

/// An answer that says how many requests are left, and until when.
fn left(requests: &str, reset: &str, body: &'static str) -> Script {
    let headers = [
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", requests),
        ("x-ratelimit-reset-requests", reset),
    ];
    Script::new().answer(200, &headers, body)
}

#[test]
fn an_upstream_that_says_that_nothing_is_left_gets_nothing_until_its_reset() {
    let upstream = Upstream::builder().script(left("0", "2s", "last"));
    let fixture = Fixture::configured(upstream, of_upstream(8, 9));
    let mut client = Http1::new(fixture.connect());
    let begun = Instant::now();
    let answer = client.ask(&ask());
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"), "it passes untouched");
    let refused = client.ask(&ask());
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (429, &"upstream_rate_limited".into())
    );
    let after: u64 = refused.header("retry-after-ms").and_then(|ms| ms.parse().ok()).expect("ms");
    assert!((1..=2_000).contains(&after), "{after}");
    let asked = fixture.upstream.requests();
    assert_eq!(asked, 1, "it was not asked again");
    assert_eq!(lowered(&fixture, "remaining"), 1);
    assert_eq!(fixture.count(r#"firstbyte_shed_total{reason="upstream_rate_limit"}"#), 1);
    fixture.wait_until("it is asked again", |_| {
        std::thread::park_timeout(MS * 20);
        client.ask(&ask()).status == 200
    });
    assert!(begun.elapsed() >= MS * 1_999, "{:?}", begun.elapsed());
    assert_eq!(fixture.upstream.requests(), 2);
}

#[test]
fn as_many_are_sent_as_are_left() {
    let is_first = AtomicBool::new(true);
    let upstream = Upstream::builder().respond(move |_: &Seen| {
        let stream = || Script::new().stream().stall();
        if is_first.swap(false, Ordering::Relaxed) { left("2", "1h", "two more") } else { stream() }
    });
    let fixture = Fixture::configured(upstream, of_upstream(50, 50));
    assert_eq!(Http1::new(fixture.connect()).ask(&ask()).status, 200);
    let mut clients: Vec<_> = (0..4).map(|_| Http1::new(fixture.connect())).collect();
    let statuses: Vec<_> = clients
        .iter_mut()
        .map(|client| {
            client.send(&ask());
            client.head(&ask()).status
        })
        .collect();
    assert_eq!(statuses, [200, 200, 429, 429]);
}

#[test]
fn after_a_429_the_upstream_is_left_alone_for_its_retry_after() {
    let limited = Arc::new(AtomicBool::new(false));
    let says = Arc::clone(&limited);
    let upstream = Upstream::builder().respond(move |_: &Seen| {
        if says.load(Ordering::Relaxed) {
            Script::new().rate_limited(Duration::from_secs(1))
        } else {
            ok("quick")
        }
    });
    let fixture = Fixture::configured(upstream, of_upstream(1, 100));
    let mut client = Http1::new(fixture.connect());
    fixture.wait_until("it has risen", |fixture| {
        assert_eq!(client.ask(&ask()).status, 200);
        shown(fixture, "streams{upstream=\"openai\"}") == 2
    });
    limited.store(true, Ordering::Relaxed);
    let theirs = client.ask(&ask());
    assert_eq!((theirs.status, theirs.header("retry-after")), (429, Some("1")));
    assert!(theirs.header("proxy-status").is_none(), "these are the upstream's own words");
    limited.store(false, Ordering::Relaxed);
    let asked = fixture.upstream.requests();
    assert_eq!(client.ask(&ask()).json()["error"]["code"], "upstream_rate_limited");
    assert_eq!(fixture.upstream.requests(), asked);
    assert_eq!((lowered(&fixture, "rate_limited"), shown(&fixture, "streams")), (1, 1));
    fixture.wait_until("it is asked again, and rises again", |fixture| {
        let _served_or_not = client.ask(&ask());
        shown(fixture, "streams{upstream=\"openai\"}") == 2
    });
}

#[test]
fn another_member_takes_over_while_one_is_left_alone() {
    let scripts = [left("0", "1s", "a"), ok("b")];
    let several = Several::configured(&scripts, of_upstream(8, 9));
    let bodies: Vec<Answer> = (0..3).map(|_| several.ask(&ask())).collect();
    let bodies: Vec<_> = bodies.iter().map(Answer::body).collect();
    assert_eq!(bodies, [b"a".to_vec(), b"b".to_vec(), b"b".to_vec()]);
    assert_eq!(several.asked(), [1, 2]);
    let led_on = r#"firstbyte_failovers_total{from="a",to="b",reason="rate_limited"}"#;
    assert_eq!(several.fixture.count(led_on), 2);
    several.fixture.wait_until("`a` is asked again", |_| several.ask(&ask()).body() == b"a");
}

/// What is left of one client's key is nobody else's.
#[test]
fn with_clients_own_keys_their_limits_hold_nobody_else_up() {
    let upstream = Upstream::builder().script(left("0", "1h", "mine"));
    let fixture = Fixture::configured(upstream, |config| {
        of_upstream(8, 9)(config);
        (config.upstreams[0].key, config.upstreams[0].forward_authorization) = (None, true);
    });
    let mut client = Http1::new(fixture.connect());
    assert!((0..3).all(|_| client.ask(&ask()).status == 200));
}

/// The example of `docs/limits.md` as it is written, but for its addresses and its key.
#[test]
fn the_example_of_the_page_does_what_the_page_says() {
    let page = include_str!("../../docs/limits.md");
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let first = left("0", "1m0s", "vllm").early();
    let vllm = started(Upstream::builder().clear().script(first));
    let openai = started(Upstream::builder().clear().script(ok("openai")));
    let text = example
        .expect("an example")
        .replace("127.0.0.1:8080", "127.0.0.1:0\nadmin: 127.0.0.1:0")
        .replace("http://127.0.0.1:8000", &vllm.url())
        .replace("https://api.openai.com", &openai.url())
        .replace("${OPENAI_API_KEY}", "sk-canary");
    let fixture = ready(vllm, &text);
    let mut client = Http1::new(fixture.connect());
    assert_eq!(client.ask(&ask()).body(), b"vllm");
    assert_eq!(client.ask(&ask()).body(), b"openai", "the other one has nothing left");
    for upstream in ["vllm", "openai"] {
        assert_eq!(shown(&fixture, &format!("streams{{upstream=\"{upstream}\"}}")), 8);
    }
}

#[test]
fn a_reload_keeps_what_was_learned() {
    let upstream = started(Upstream::builder().clear().http2().script(ok("quick")));
    let text =
        |adapt: &str| file(&[("a", &upstream, &format!(", limits: {{ adapt: {{ {adapt} }} }}"))]);
    let before = text("floor: 1, ceiling: 9");
    let after = text("floor: 1, ceiling: 8, tolerance_percent: 300");
    let off = text("floor: 1");
    let fixture = ready(upstream, &before);
    let request = Ask::post("/a/chat/completions", "{}");
    let mut client = Http1::new(fixture.connect());
    fixture.wait_until("it has risen", |fixture| {
        assert_eq!(client.ask(&request).status, 200);
        shown(fixture, "streams{upstream=\"a\"}") == 2
    });
    fixture.write_file("firstbyte.yaml", &after);
    let changes = applied(&fixture)["changes"].to_string();
    assert!(changes.contains("upstreams.a.limits"), "{changes}");
    assert_eq!(shown(&fixture, "streams{upstream=\"a\"}"), 2);
    fixture.write_file("firstbyte.yaml", &off);
    applied(&fixture);
    assert!(!fixture.admin("/metrics").1.contains("firstbyte_limit_streams"), "it is off");
}
