//! A thousand tenants in one proxy, whose requests are cancelled, replayed, failed over and cut at random:
//! nobody ever sees a byte of another's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use loadtest::client::{Mono, Pool, Protocol, Request, SendOptions, Target, Trace};
use loadtest::random::Random;
use loadtest::upstream::{Cut, Goaway, Script, Seen, Step, Upstream};

use crate::support::group::Several;
use crate::support::size;

const TENANTS: usize = 1_000;
/// The promise's full size is a million.
const REQUESTS: usize = 12_000;
const REQUESTS_IN_FULL: usize = 1_000_000;
/// At once, half of each protocol.
const CLIENTS: usize = 48;

/// What a request says of itself, in its path and in its body.
fn mark(tenant: usize, nth: usize) -> String {
    format!("tenant-{tenant:04}-{nth:08}")
}

/// The answer to it: frame after frame with nothing in it but its mark, of many lengths.
fn frames(mark: &str, nth: usize) -> Vec<Bytes> {
    let mut random = Random::new(nth as u64);
    let frame = |times: usize| Bytes::from(format!("data: {}\n\n", mark.repeat(times)));
    (0..=random.below(6)).map(|_| frame(1 + random.below(40))).collect()
}

/// The path says whose it is; what is done to it is drawn from its number and from who is asked.
fn script(seen: &Seen, member: u64) -> Script {
    let mark = seen.path_only().trim_start_matches("/v1/").to_owned();
    let nth: usize = mark.rsplit('-').next().and_then(|nth| nth.parse().ok()).unwrap_or(0);
    if seen.body != mark.as_bytes() {
        // A body that is not the path's: told to its client as such.
        return Script::new().answer(500, &[], "crossed");
    }
    let frames = frames(&mark, nth);
    let begun = |some: usize| {
        let head = Script::new().stream();
        let script =
            frames.iter().take(some).fold(head, |script, frame| script.body(frame.clone()));
        if nth.is_multiple_of(3) { script.wait(Duration::from_millis(2)) } else { script }
    };
    // Refused once only: the second answer decides.
    match Random::new(nth as u64 ^ member << 32 ^ seen.nth << 40).below(40) {
        0 | 1 => Script::new().refuse(),
        2 | 3 => Script::new().rate_limited(Duration::ZERO),
        4 => Script::new().answer(503, &[], mark),
        5 => begun(frames.len() / 2).reset(2),
        6 if nth.is_multiple_of(10) => begun(frames.len() / 2).cut(Cut::Fin),
        7 if nth.is_multiple_of(3) => Script::new().goaway(Goaway::AfterThis).body("").finish(),
        _ => begun(frames.len()).step(Step::Finish),
    }
}

/// What came of all.
#[derive(Debug, Default)]
struct Came {
    whole: AtomicUsize,
    in_part: AtomicUsize,
    left: AtomicUsize,
}

/// One client: request after request, each of another tenant, on connections that all tenants share.
async fn ask_on(pool: Arc<Pool>, next: Arc<AtomicUsize>, requests: usize, came: Arc<Came>) {
    loop {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        if nth >= requests {
            return;
        }
        let mark = mark(Random::new(nth as u64 + 1).below(TENANTS), nth);
        let own = frames(&mark, nth).concat();
        let request = Request::post(&format!("/v1/{mark}"), mark.clone()).expect("a request");
        let mut trace = Trace::default();
        let options = SendOptions::default();
        let sent = pool.send(&request, Mono::now(), &options, &mut trace);
        let leaves = Random::new(nth as u64 + 2).below(5) == 0;
        let time = Duration::from_micros(Random::new(nth as u64 + 3).below(6_000) as u64);
        let patience = if leaves { time } else { Duration::from_secs(60) };
        let outcome = tokio::time::timeout(patience, sent).await.ok();
        let body = trace.body;
        let of_ours = body.starts_with(b"{\"error\"") || body.is_empty();
        assert!(
            of_ours || own.starts_with(&body) || body == mark.as_bytes(),
            "{mark} got {:?}",
            String::from_utf8_lossy(&body)
        );
        match outcome {
            None => came.left.fetch_add(1, Ordering::Relaxed),
            Some(_) if body == own => came.whole.fetch_add(1, Ordering::Relaxed),
            Some(_) => came.in_part.fetch_add(1, Ordering::Relaxed),
        };
    }
}

#[test]
fn a_thousand_tenants_never_see_a_byte_of_each_other() {
    static MEMBERS: AtomicU64 = AtomicU64::new(0);
    let requests = size::size(REQUESTS, REQUESTS_IN_FULL);
    let member = || {
        let number = MEMBERS.fetch_add(1, Ordering::Relaxed);
        Upstream::builder().clear().http2().log(false).respond(move |seen| script(seen, number))
    };
    let several = Several::of(
        vec![member(), member(), member()],
        firstbyte::config::Protocol::Http2,
        |config| {
            config.access_log = firstbyte::config::AccessLog::Off;
            for upstream in &mut config.upstreams {
                upstream.pool.queue_timeout = Duration::from_secs(60);
                // Its members are in for the whole of the test, whatever is done to them.
                upstream.health.requests = u32::MAX;
                upstream.health.consecutive_failures = u32::MAX;
            }
        },
    );
    let came = Arc::new(Came::default());
    size::block_on(async {
        let url = format!("http://{}", several.fixture.address());
        let next = Arc::new(AtomicUsize::new(0));
        let mut clients = Vec::new();
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let pool = Pool::sharing(Target::new(&url).expect("a URL").speaking(protocol), 8);
            for _ in 0..CLIENTS / 2 {
                let one = ask_on(pool.clone(), next.clone(), requests, came.clone());
                clients.push(tokio::spawn(one));
            }
        }
        for client in clients {
            client.await.expect("no foreign byte");
        }
    });
    let count = |series: &str| several.fixture.count(series);
    let replays = count(r#"firstbyte_replays_total{reason="refused_stream"}"#);
    let failovers = count(r#"firstbyte_failovers_total{from="a",to="b",reason="rate_limited"}"#);
    println!("{came:?}, {replays} replays, {failovers} failovers for a 429");
    let share = |count: &AtomicUsize, percent: usize| {
        assert!(count.load(Ordering::Relaxed) >= requests * percent / 100, "{came:?}");
    };
    share(&came.whole, 60);
    share(&came.in_part, 1);
    share(&came.left, 2);
    assert!(replays > 0 && failovers > 0, "nothing was sent again");
}
