//! HTTP/2 frames that carry no request, without end; requests given up without end; and that whoever sends
//! many of either for a reason is served.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use firstbyte::config::Protocol;
use loadtest::upstream::{Builder, Script, Seen, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::raw_frames::{
    DATA, Ended, Frames, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, goaway, is_end,
};
use crate::support::peers::raw_http2;
use crate::support::peers::raw_upstream::{Reply, frame, http2_frames, lead_to};

/// `ENHANCE_YOUR_CALM` (RFC 9113, section 7).
const CALM: u32 = 11;

/// Frames in one write.
const BATCH: usize = 100;

fn upstream() -> Builder {
    Upstream::builder().http2().respond(|seen: &Seen| match &*seen.path {
        "/v1/stall" => Script::new().stream().body("data: 1\n\n").stall(),
        "/v1/large" => Script::new().answer(200, &[], "x".repeat(2 << 20)),
        _ => Script::new().answer(200, &[], "{}"),
    })
}

fn hangups(fixture: &Fixture, reason: &str) -> u64 {
    fixture.count(&format!("firstbyte_client_hangups_total{{reason=\"{reason}\"}}"))
}

/// Sends as fast as the proxy reads until it reads no more; how often it was sent, and what it said.
fn flood(client: &mut Frames, one: &[u8]) -> (usize, Option<(u32, u32)>) {
    let (begun, batch, mut sent) = (Instant::now(), one.repeat(BATCH), 0);
    while client.look() == Ended::No && client.send(&batch) {
        sent += BATCH;
        assert!(begun.elapsed() < PATIENCE, "{sent} frames, and it is open");
    }
    client.look();
    (sent, goaway(&client.unread()))
}

/// Somebody who asks again and again, on the same worker, until told to end. How often it was answered.
fn neighbour(fixture: &Fixture, over: &AtomicBool) -> usize {
    let (mut client, mut answered) = (Http1::new(fixture.connect()), 0);
    while !over.load(Ordering::Relaxed) || answered == 0 {
        assert_eq!(client.ask(&Ask::get("/v1/x")).status, 200);
        answered += 1;
    }
    answered
}

#[test]
fn control_frames_without_end_are_told_to_calm_down_and_neighbours_are_served() {
    let fixture = Fixture::start(upstream());
    let table_size = [0, 1, 0, 0, 0x10, 0];
    let kinds: [(&str, Vec<u8>); 10] = [
        ("PING", frame(PING, 0, 0, b"12345678")),
        ("an answer to no PING", frame(PING, 1, 0, b"12345678")),
        ("SETTINGS", frame(SETTINGS, 0, 0, b"")),
        ("another table size", frame(SETTINGS, 0, 0, &table_size)),
        ("PRIORITY", frame(2, 0, 1, &[0, 0, 0, 0, 16])),
        ("WINDOW_UPDATE by 1", frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
        ("a stream's WINDOW_UPDATE by 1", frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes())),
        ("an unknown type", frame(0xba, 0, 0, b"")),
        ("PRIORITY_UPDATE", frame(0x10, 0, 0, b"\0\0\0\x01u=1")),
        ("padding", frame(DATA, 8, 3, &[0])),
    ];
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let answered = scope.spawn(|| neighbour(&fixture, &over));
        for (nth, (kind, one)) in kinds.iter().enumerate() {
            let mut client = Frames::connect(fixture.address());
            assert!(client.ask(1, "/v1/stall") && client.begin(3, "/v1/x"), "{kind}");
            client.until(HEADERS);
            let (sent, said) = flood(&mut client, one);
            let said = said.unwrap_or_else(|| panic!("{kind}: no GOAWAY after {sent} frames"));
            assert_eq!(said.0, CALM, "{kind}");
            if *kind != "padding" {
                // h2 itself ends the connection for frames of nothing but padding.
                let ended = |f: &Fixture| hangups(f, "control_frames") as usize > nth;
                fixture.wait_until("it is counted", ended);
                assert_eq!(said, (CALM, 3), "{kind}: both streams were looked at");
            }
        }
        over.store(true, Ordering::Relaxed);
        println!("{} answers to the neighbour", answered.join().expect("no panic"));
    });
    let log = fixture.access_log();
    let cut = log.iter().filter(|line| line["error"] == "control_flood").count();
    assert_eq!(cut, 2 * (kinds.len() - 1), "each of the streams that went with them says why");
}

#[test]
fn a_flood_paced_to_look_like_traffic_ends_too() {
    let fixture = Fixture::start(upstream());
    let mut client = Frames::connect(fixture.address());
    assert!(client.ask(1, "/v1/stall"));
    client.until(HEADERS);
    let (begun, ping) = (Instant::now(), frame(PING, 0, 0, b"12345678").repeat(5));
    while client.look() == Ended::No && client.send(&ping) {
        assert!(begun.elapsed() < PATIENCE, "it is open");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    fixture.wait_until("it is counted", |fixture| hangups(fixture, "control_frames") == 1);
}

#[test]
fn a_reader_may_say_of_every_part_that_it_took_it() {
    let fixture = Fixture::start(upstream());
    let mut client = Frames::connect(fixture.address());
    assert!(client.ask(1, "/v1/large"));
    let (mut read, mut said) = (0, 0);
    loop {
        let came = client.read().expect("the answer goes on");
        if came.kind == PING {
            continue;
        }
        for part in came.payload.chunks(512).filter(|_| came.kind == DATA) {
            let part_len = u32::try_from(part.len()).expect("small").to_be_bytes();
            let mut both = frame(WINDOW_UPDATE, 0, 0, &part_len);
            both.extend(frame(WINDOW_UPDATE, 0, 1, &part_len));
            assert!(client.send(&both), "closed after {read} bytes and {said} frames");
            (read, said) = (read + part.len(), said + 2);
        }
        if came.kind == DATA {
            assert!(client.send(&frame(PING, 0, 0, b"bandwidt")));
            said += 1;
        }
        if is_end(&came) {
            break;
        }
    }
    assert_eq!(read, 2 << 20);
    assert!(said > 8_000, "{said}: more than anybody may send without a reason");
    assert_eq!(hangups(&fixture, "control_frames"), 0);
}

#[test]
fn a_client_that_gives_up_request_after_request_reaches_no_upstream_any_more() {
    let fixture = Fixture::start(upstream());
    let mut client = Frames::connect(fixture.address());
    let (begun, mut given_up) = (Instant::now(), 0_u32);
    let reset = 8_u32.to_be_bytes();
    'open: loop {
        let stream = given_up * 2 + 1;
        if !client.ask(stream, "/v1/stall") {
            break;
        }
        loop {
            match client.read() {
                Some(head) if head.kind == HEADERS && head.stream == stream => break,
                Some(_) => {}
                None => break 'open,
            }
        }
        if !client.send(&frame(RST_STREAM, 0, stream, &reset)) {
            break;
        }
        given_up += 1;
        assert!(begun.elapsed() < PATIENCE * 3, "{given_up}, and it is open");
    }
    let most = 2_048 + 50 * (begun.elapsed().as_secs() + 1) + 10;
    let asked = fixture.upstream.requests();
    println!("{asked} requests in {:?}", begun.elapsed());
    assert!((2_000..most).contains(&asked), "{asked}");
    assert_eq!(hangups(&fixture, "cancels"), 1);
}

/// As when everybody behind a gateway leaves at once; and again.
#[test]
fn a_thousand_requests_given_up_at_once_do_no_harm() {
    let fixture = Fixture::configured(upstream(), |config| {
        config.upstreams[0].pool.queue_timeout = PATIENCE;
    });
    raw_http2::block_on(async {
        let client = raw_http2::Client::connect(fixture.address()).await;
        let mut answers = Vec::new();
        for _ in 0..1_000 {
            answers.push(client.send("/v1/stall", b"").await);
        }
        let mut bodies = Vec::new();
        for answer in answers {
            bodies.push(answer.await.expect("a head").into_body());
        }
        drop(bodies);
        let gone = r#"firstbyte_stream_end_total{outcome="client_gone"}"#;
        fixture.wait_until_async("all are given up", |f| f.count(gone) == 1_000).await;
        let answer = client.ask("/v1/x", b"").await.expect("the connection is open");
        assert_eq!((answer.status, answer.cut), (200, None));
    });
    assert_eq!(hangups(&fixture, "cancels"), 0);
}

/// The upstream is told that nobody waits any more, and then sends nothing but control frames.
#[test]
fn an_upstream_that_sends_control_frames_without_end_is_given_up() {
    let address = http2_frames(&frame(SETTINGS, 0, 0, b""), |kind, flags, _, payload| {
        let bytes = match (kind, flags & 1) {
            (SETTINGS, 0) => frame(SETTINGS, 1, 0, b""),
            (PING, 0) => frame(PING, 1, 0, payload),
            (RST_STREAM, _) => frame(PING, 0, 0, b"12345678").repeat(1 << 20),
            _ => Vec::new(),
        };
        Reply { bytes, close: false }
    });
    let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, address, Protocol::Http2);
        config.upstreams[0].deadlines.response_head = Duration::from_millis(300);
    });
    let mut client = Http1::new(fixture.connect());
    assert_eq!(client.ask(&Ask::get("/v1/x")).status, 504);
    fixture.wait_until("it is given up", |fixture| {
        fixture.count(r#"firstbyte_upstream_floods_total{upstream="openai"}"#) == 1
    });
}
