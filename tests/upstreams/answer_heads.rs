//! An upstream whose answers have heads without measure: 502 in words, and nobody else notices.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use firstbyte::config::{self, Config};
use loadtest::upstream::Upstream;

use crate::support::fixture::Fixture;
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::http2_client::Http2;
use crate::support::peers::raw_http1::Client;
use crate::support::peers::raw_upstream::{self, Reply, frame, http2_frames, lead_to};
use crate::support::refusal::assert_refused;

const CODE: &str = "answer_head_too_large";

/// `:status: 200` from the static table (RFC 7541, appendix A).
const OK: u8 = 0x88;
/// The newest entry of the dynamic table.
const NEWEST: u8 = 0x80 | 0x3e;

/// A length in seven bits and more (RFC 7541, section 5.1).
fn length(mut value: usize) -> Vec<u8> {
    if value < 127 {
        return vec![value as u8];
    }
    value -= 127;
    let mut bytes = vec![127];
    while value >= 128 {
        bytes.push((value % 128) as u8 | 128);
        value /= 128;
    }
    bytes.push(value as u8);
    bytes
}

/// A line whose name is new; `first` says whether it goes into the table (0x40) or not (0).
fn line(first: u8, name: &str, value: &str) -> Vec<u8> {
    let (name_length, value_length) = (length(name.len()), length(value.len()));
    [&[first][..], &name_length, name.as_bytes(), &value_length, value.as_bytes()].concat()
}

/// A head of 8 KB that is read as 16 MB: a field of 4 KB, and four thousand references to it.
fn bomb() -> Vec<u8> {
    bomb_of(4_000)
}

fn bomb_of(references: usize) -> Vec<u8> {
    [vec![OK], line(0x40, "x", &"v".repeat(4_000)), vec![NEWEST; references]].concat()
}

fn lines(count: usize, each: usize) -> Vec<u8> {
    let value = "v".repeat(each);
    (0..count).flat_map(|nth| line(0, &format!("x-{nth}"), &value)).collect()
}

/// A block as HEADERS and as many CONTINUATIONs as it takes; `end`: nothing follows it on its stream.
fn headers(stream: u32, block: &[u8], end: bool) -> Vec<u8> {
    let parts: Vec<_> = block.chunks(16_384).collect();
    let one = |(nth, part): (usize, &&[u8])| {
        let last = if nth + 1 == parts.len() { 4 } else { 0 };
        let (kind, ends) = if nth == 0 { (1, u8::from(end)) } else { (9, 0) };
        frame(kind, ends | last, stream, part)
    };
    parts.iter().enumerate().flat_map(one).collect()
}

/// What a raw upstream was sent.
#[derive(Default)]
struct Sent {
    /// The payload of the proxy's first SETTINGS.
    settings: Option<Vec<u8>>,
    /// Streams that it reset, and why.
    resets: Vec<(u32, u32)>,
    goaways: usize,
}

/// Answers the first stream of each connection with a head and no more; the others with `reply` and, before
/// it, the rest of the first one's answer where `ends_first` says so.
fn upstream(
    reply: impl Fn(u32) -> Vec<u8> + Clone + Send + 'static,
) -> (SocketAddr, Arc<Mutex<Sent>>) {
    let sent = Arc::<Mutex<Sent>>::default();
    let told = Arc::clone(&sent);
    let mut asked = 0;
    let address = http2_frames(&frame(4, 0, 0, b""), move |kind, flags, stream, payload| {
        let mut told = told.lock().expect("no panic");
        let bytes = match (kind, flags & 1) {
            (4, 0) => {
                told.settings.get_or_insert_with(|| payload.to_vec());
                frame(4, 1, 0, b"")
            }
            (6, 0) => frame(6, 1, 0, payload),
            (1, _) => {
                asked += 1;
                match asked {
                    1 => frame(1, 4, stream, &[OK]),
                    2 => reply(stream),
                    // Both are there: the bad one did no harm.
                    _ => [frame(0, 1, 1, b"whole"), frame(1, 5, stream, &[OK])].concat(),
                }
            }
            (3, _) => {
                let code = payload.try_into().map(u32::from_be_bytes).expect("a code");
                told.resets.push((stream, code));
                Vec::new()
            }
            (7, _) => {
                told.goaways += 1;
                Vec::new()
            }
            _ => Vec::new(),
        };
        Reply { bytes, close: false }
    });
    (address, sent)
}

fn before(
    address: SocketAddr,
    protocol: config::Protocol,
    change: impl FnOnce(&mut Config),
) -> Fixture {
    Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, address, protocol);
        let pool = &mut config.upstreams[0].pool;
        (pool.min_connections, pool.max_connections) = (1, 1);
        change(config);
    })
}

/// A neighbour streams, `reply` answers somebody else on the same connection, a third is answered: what the
/// second sees, while the others notice nothing.
fn beside_a_neighbour(
    reply: impl Fn(u32) -> Vec<u8> + Clone + Send + 'static,
    second: impl FnOnce(&Fixture),
) -> Vec<serde_json::Value> {
    let (address, sent) = upstream(reply);
    let fixture = before(address, config::Protocol::Http2, |_| {});
    let mut neighbour = Client::connect(&fixture);
    neighbour.ask("/v1/long", b"");
    assert!(neighbour.head().is_some());
    second(&fixture);
    assert_eq!(Http1::new(fixture.connect()).ask(&Ask::get("/v1/x")).status, 200);
    assert!(neighbour.wait_for("whole\r\n0\r\n\r\n"), "the neighbour ends whole");
    let sent = sent.lock().expect("no panic");
    let settings = sent.settings.as_deref().expect("SETTINGS");
    let heads = settings.chunks(6).find(|setting| setting[..2] == [0, 6]);
    assert_eq!(heads, Some(&[0, 6, 0, 1, 0, 0][..]), "64 KiB are announced");
    assert_eq!(sent.goaways, 0);
    assert!(sent.resets.iter().all(|(stream, _)| *stream == 3), "{:?}", sent.resets);
    drop(sent);
    fixture.access_log()
}

fn is_refused(fixture: &Fixture) {
    assert_refused(&Http2::connect(fixture.address()).ask(&Ask::get("/v1/x")), 502, CODE);
    let series = r#"firstbyte_upstream_oversize_heads_total{upstream="openai",what="answer"}"#;
    assert_eq!(fixture.count(series), 1);
}

#[test]
fn a_head_of_too_many_bytes_is_502_and_its_connection_goes_on() {
    let heads: [(&str, Vec<u8>); 4] = [
        ("references", bomb()),
        ("one line", [vec![OK], lines(1, 65_600)].concat()),
        ("many frames", [vec![OK], lines(40, 5_000)].concat()),
        ("ten thousand lines", [vec![OK], lines(10_000, 10)].concat()),
    ];
    for (name, head) in heads {
        let log = beside_a_neighbour(move |stream| headers(stream, &head, false), is_refused);
        let told = log.iter().find(|line| line["error"] == CODE);
        assert_eq!(told.map(|line| &line["status"]), Some(&502.into()), "{name}");
    }
}

/// As much as one frame can hold: 49 MB. h2 keeps none of it, and has no word for it but "protocol".
#[test]
fn the_largest_head_of_one_frame_is_502_and_its_connection_goes_on() {
    beside_a_neighbour(
        |stream| headers(stream, &bomb_of(12_000), false),
        |fixture| {
            let answer = Http2::connect(fixture.address()).ask(&Ask::get("/v1/x"));
            assert_refused(&answer, 502, "upstream_protocol");
        },
    );
}

/// Who does not read them costs no memory either: nothing of such a head is kept.
#[test]
fn thirty_clients_of_such_answers_are_all_told() {
    let address = raw_upstream::http2(|_, stream| {
        let bytes = headers(stream, &bomb(), false);
        Reply { bytes, close: false }
    });
    let fixture = before(address, config::Protocol::Http2, |_| {});
    let clients: Vec<_> = (0..30)
        .map(|_| {
            let mut client = Http1::new(fixture.connect());
            client.send(&Ask::get("/v1/x"));
            client
        })
        .collect();
    let told = |fixture: &Fixture| {
        fixture.count(r#"firstbyte_stream_end_total{outcome="upstream_failed"}"#) == 30
    };
    fixture.wait_until("all are told", told);
    for mut client in clients {
        assert_refused(&client.answer(&Ask::get("/v1/x")), 502, CODE);
    }
}

#[test]
fn a_head_of_more_lines_than_are_taken_is_502_and_one_of_as_many_passes() {
    let head = |count| [vec![OK], lines(count, 10)].concat();
    beside_a_neighbour(move |stream| headers(stream, &head(257), true), is_refused);
    beside_a_neighbour(
        move |stream| headers(stream, &head(256), true),
        |fixture| {
            let answer = Http2::connect(fixture.address()).ask(&Ask::get("/v1/x"));
            assert_eq!(answer.status, 200);
            assert!((0..256).all(|nth| answer.header(&format!("x-{nth}")) == Some("vvvvvvvvvv")));
        },
    );
}

#[test]
fn a_head_under_the_bound_passes_whole() {
    let value = "v".repeat(60_000);
    let expected = value.clone();
    let head = [vec![OK], line(0, "x", &value)].concat();
    beside_a_neighbour(
        move |stream| headers(stream, &head, true),
        |fixture| {
            let answer = Http1::new(fixture.connect()).ask(&Ask::get("/v1/x"));
            assert_eq!((answer.status, answer.header("x")), (200, Some(&*expected)));
        },
    );
}

#[test]
fn interim_heads_are_bounded_too() {
    // `:status: 103` as a line without the table, by the static table's name.
    let early = |more: &[u8]| [&[0x08, 3][..], b"103", more].concat();
    let large = move |stream| headers(stream, &early(&lines(20, 5_000)), false);
    beside_a_neighbour(large, is_refused);
    let few = move |stream| {
        let mut wire = headers(stream, &early(b""), false).repeat(10);
        wire.extend(headers(stream, &[OK], true));
        wire
    };
    beside_a_neighbour(few, |fixture| {
        assert_eq!(Http2::connect(fixture.address()).ask(&Ask::get("/v1/x")).status, 200);
    });
}

#[test]
fn trailers_of_too_many_bytes_or_lines_are_a_cut_and_not_an_end() {
    for trailers in [lines(20, 5_000), lines(257, 10), bomb().split_off(1)] {
        let reply = move |stream| {
            let body = frame(0, 0, stream, b"body");
            [frame(1, 4, stream, &[OK]), body, headers(stream, &trailers, true)].concat()
        };
        let log = beside_a_neighbour(reply, |fixture| {
            let mut client = Client::connect(fixture);
            client.ask("/v1/x", b"");
            let answer = client.answer().expect("a head");
            assert_eq!((answer.status, answer.text().as_str()), (200, "body"));
            assert!(!answer.whole, "it looks like one that ended");
        });
        let told = log.iter().find(|line| line["error"] == CODE).expect("it is told");
        assert_eq!(told["outcome"], "upstream_failed");
    }
}

#[test]
fn over_http1_the_bounds_are_the_same() {
    let many = |count: usize| {
        (0..count).fold(String::new(), |lines, nth| lines + &format!("x-{nth}: v\r\n"))
    };
    let one = |bytes: usize| format!("x: {}\r\n", "v".repeat(bytes));
    for (lines, taken) in [
        (many(10_000), false),
        (many(257), false),
        (many(90), true),
        (one(1024 * 1024), false),
        (one(65_500), false),
        (one(60_000), true),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{lines}\r\n");
        let reply = move |_: &str| Reply { bytes: head.clone().into_bytes(), close: false };
        let fixture = before(raw_upstream::http1(reply), config::Protocol::Http1, |_| {});
        for _ in 0..2 {
            let answer = Http1::new(fixture.connect()).ask(&Ask::get("/v1/x"));
            if taken {
                assert_eq!(answer.status, 200);
            } else {
                assert_refused(&answer, 502, CODE);
            }
        }
        let told = fixture.access_log().iter().filter(|line| line["error"] == CODE).count();
        assert_eq!(told, if taken { 0 } else { 2 });
    }
}

#[test]
fn the_operator_says_how_much_is_taken() {
    let head = [vec![OK], lines(120, 1_000)].concat();
    let reply = move |_, stream| Reply { bytes: headers(stream, &head, true), close: false };
    let generous = before(raw_upstream::http2(reply.clone()), config::Protocol::Http2, |config| {
        config.limits.response_header_bytes = 256 * 1024;
        config.limits.response_headers = 128;
    });
    assert_eq!(Http1::new(generous.connect()).ask(&Ask::get("/v1/x")).status, 200);
    let strict = before(raw_upstream::http2(reply), config::Protocol::Http2, |config| {
        config.limits.response_header_bytes = 256 * 1024;
        config.limits.response_headers = 119;
    });
    assert_refused(&Http1::new(strict.connect()).ask(&Ask::get("/v1/x")), 502, CODE);
}
