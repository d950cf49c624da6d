//! Bytes in are bytes out, in order, none lost, however they were cut on their way.

use std::time::Duration;

use bytes::Bytes;
use loadtest::random::Random;
use loadtest::upstream::{Log, Script, Seen, Step};

use crate::support::fixture::PATIENCE;
use crate::support::message::{Answer, Ask, Length};
use crate::support::pairing::{Client, ORIGINS, Origin, every_pairing, upstream};
use crate::support::peers::http1_client::Http1;
use crate::support::splits::{events, pieces, sha256};

/// Frames each way, over all pairings. The promise's full size is 1,000,000:
/// `FIRSTBYTE_FRAMES=1000000 cargo test --test wire bytes_are`.
fn frames() -> usize {
    let asked = std::env::var("FIRSTBYTE_FRAMES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(24_000)
}

/// Frames of one body.
const FRAMES: usize = 120;

/// h2 ends a connection at the 101st empty frame of its life.
const EMPTY_FRAMES: u64 = 80;

/// What the upstream sends down for a request that names this seed.
fn down(seed: u64) -> Vec<Bytes> {
    pieces(&mut Random::new(seed), FRAMES)
}

/// What the client sends up with this seed.
fn up(seed: u64) -> Vec<Bytes> {
    pieces(&mut Random::new(!seed), FRAMES)
}

fn seed_of(request: &Seen) -> u64 {
    request.header("x-seed").and_then(|seed| seed.parse().ok()).expect("a seed")
}

/// Some frames leave together, some alone; some answers know their length; some frames are empty.
fn answer(request: &Seen) -> Script {
    let seed = seed_of(request);
    let mut random = Random::new(seed ^ 0x5eed);
    let pieces = down(seed);
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let known = [("content-length", length.to_string())];
    let known: Vec<(&str, &str)> = known.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let lines = if random.below(2) == 0 { &known[..] } else { &[] };
    let mut script = Script::new().head(200, lines);
    for (at, piece) in pieces.into_iter().enumerate() {
        if random.below(8) == 0 {
            script = script.wait(Duration::from_micros(50));
        }
        if at == FRAMES / 2 && request.nth_on_connection < EMPTY_FRAMES {
            script = script.step(Step::EmptyFrames(1));
        }
        script = script.body(piece);
    }
    if random.below(2) == 0 { script.finish() } else { script.step(Step::FinishSeparately) }
}

#[test]
fn bytes_are_the_same_at_both_ends_however_they_were_split_for_every_pairing() {
    let rounds = frames().div_ceil(FRAMES * 8);
    let mut sent = 0;
    every_pairing(
        || upstream().respond(answer),
        |fixture, client, _| {
            let before = fixture.upstream.requests();
            for round in 0..rounds {
                let seed = (sent + round) as u64;
                let length = if seed.is_multiple_of(2) { Length::Known } else { Length::Unknown };
                let ask = Ask::post("/v1/chat/completions", "").body(up(seed), length);
                let came = client.ask(&ask.header("x-seed", &seed.to_string()));
                assert_eq!(came.status, 200);
                assert_same(&down(seed), &came, seed);
            }
            let log = fixture.upstream.log();
            let seen = log.requests.iter().skip(before as usize);
            for (seed, request) in (sent as u64..).zip(seen) {
                let expected = sha256(&up(seed));
                assert_eq!(request.body_sha256.as_deref(), Some(expected.as_str()), "seed {seed}");
            }
            sent += rounds;
        },
    );
    assert!(sent * FRAMES >= frames(), "{sent}");
}

fn assert_same(sent: &[Bytes], came: &Answer, seed: u64) {
    let (sent_sha, came_sha) = (sha256(sent), sha256(&came.pieces));
    if sent_sha != came_sha {
        let (sent, came) = (sent.concat(), came.body());
        let at = sent.iter().zip(&came).position(|(sent, came)| sent != came);
        panic!("seed {seed}: of {} bytes came {}, other from {at:?}", sent.len(), came.len());
    }
}

#[test]
fn frames_of_one_size_are_the_same_at_both_ends_for_every_pairing() {
    for size in [1, 2, 3, 255, 256, 4095, 8192, 16_384, 65_536] {
        let count = (128 * 1024 / size).clamp(4, 400);
        let body = events(&mut Random::new(size as u64), size * count);
        let frames: Vec<Bytes> = body.chunks(size).map(Bytes::copy_from_slice).collect();
        let script = frames.iter().fold(Script::new().stream(), |s, frame| s.body(frame.clone()));
        let script = script.finish();
        every_pairing(
            || upstream().script(script.clone()),
            |fixture, client, _| {
                let ask = Ask::post("/v1/files", "").body(frames.clone(), Length::Unknown);
                let came = client.ask(&ask);
                assert_same(&frames, &came, size as u64);
                let log = fixture.upstream.log();
                let seen = log.requests.last().and_then(|request| request.body_sha256.clone());
                assert_eq!(seen, Some(sha256(&frames)));
            },
        );
    }
}

/// A chunked body whose framing is cut at every place there is.
#[test]
fn a_chunked_upload_is_understood_wherever_its_framing_is_cut() {
    let wire = b"7\r\nd\xc3\xa9j\xc3\xa0\n\r\n1;name=value\r\n\n\r\n0A\r\n0123456789\r\n0\r\n\r\n";
    let body = b"d\xc3\xa9j\xc3\xa0\n\n0123456789";
    for origin in ORIGINS {
        let fixture = origin.fixture(upstream());
        let mut client = Http1::new(fixture.connect());
        for cut in 1..wire.len() {
            let ask = Ask::post("/v1/files", "").body(Vec::new(), Length::Unknown);
            client.send_head(&ask);
            client.write(&wire[..cut]);
            // The next part leaves when the proxy has passed on what it could.
            if cut % 7 == 0 {
                let arrived = |log: &Log| log.requests.len() == cut;
                assert!(fixture.upstream.wait_for(arrived, PATIENCE), "no head after {cut} bytes");
            }
            client.write(&wire[cut..]);
            client.answer(&ask);
            let log = fixture.upstream.log();
            let seen = log.requests.last().expect("a request");
            assert_eq!(seen.body_sha256, Some(sha256(&[Bytes::from_static(body)])), "at {cut}");
        }
    }
}

/// An HTTP/1.1 answer that the upstream writes in two parts, cut at every place there is.
#[test]
fn a_chunked_answer_is_understood_wherever_its_framing_is_cut() {
    let wire = "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
                6\r\nd\u{e9}j\u{e0}\r\n3;x=y\r\n\n\n1\r\n02\r\n\u{fc}\r\n0\r\n\r\n";
    for origin in [Origin::ClearHttp1, Origin::TlsHttp1] {
        let wire = wire.as_bytes();
        let fixture = origin.fixture(upstream().respond(move |seen| {
            let cut = 1 + seen.nth as usize % (wire.len() - 1);
            let part = |bytes: &'static [u8]| Step::Wire(Bytes::from_static(bytes));
            let pause = Duration::from_micros(200);
            Script::new().step(part(&wire[..cut])).wait(pause).step(part(&wire[cut..])).finish()
        }));
        let mut client = Http1::new(fixture.connect());
        for cut in 1..wire.len() {
            let came = client.ask(&Ask::get("/v1/models"));
            assert_eq!(came.body(), "d\u{e9}j\u{e0}\n\n1\u{fc}".as_bytes(), "cut at {cut}");
        }
    }
}

/// A body that may not be there, or is empty: the next answer on the connection tells whether both
/// sides understood it alike.
#[test]
fn answers_without_a_byte_of_body_leave_the_connection_in_step() {
    let pause = Duration::from_micros(200);
    let separately = Script::new().head(200, &[]).wait(pause).step(Step::FinishSeparately);
    let scripts: [(&str, u16, Script); 7] = [
        ("HEAD", 200, Script::new().head(200, &[("content-length", "1234")]).finish()),
        ("HEAD", 200, Script::new().head(200, &[]).finish()),
        ("GET", 204, Script::new().head(204, &[]).finish()),
        ("GET", 304, Script::new().head(304, &[("etag", "\"a\"")]).finish()),
        ("GET", 304, Script::new().head(304, &[("content-length", "1234")]).finish()),
        ("GET", 200, Script::new().head(200, &[("content-length", "0")]).finish()),
        ("GET", 200, separately),
    ];
    every_pairing(
        || {
            let scripts = scripts.clone();
            upstream().respond(move |seen| {
                let which = seen.header("x-which").and_then(|which| which.parse::<usize>().ok());
                which.map_or_else(
                    || Script::new().answer(200, &[], "after"),
                    |at| scripts[at].2.clone(),
                )
            })
        },
        |_, client, _| {
            for (which, (method, status, _)) in scripts.iter().enumerate() {
                let ask = Ask::get("/v1/models").method(method);
                let came = client.ask(&ask.header("x-which", &which.to_string()));
                assert_eq!((came.status, came.body().len()), (*status, 0), "script {which}");
                let promised = (which == 0).then_some("1234"); // hyper leaves a 304 none
                if promised.is_some() {
                    assert_eq!(came.header("content-length"), promised, "script {which}");
                }
                assert_eq!(client.ask(&Ask::get("/v1/models")).body(), b"after");
            }
        },
    );
}

#[test]
fn a_request_with_an_empty_body_arrives_as_one() {
    every_pairing(
        || upstream().respond(|_| Script::new().answer(200, &[], "ok")),
        |fixture, client, _| {
            for length in [Length::Known, Length::Unknown] {
                client.ask(&Ask::post("/v1/files", "").body(Vec::new(), length));
                let log = fixture.upstream.log();
                let seen = log.requests.last().expect("a request");
                assert_eq!((seen.body_len, seen.body_end_ns.is_some()), (0, true), "{length:?}");
            }
        },
    );
}

/// One byte up, one byte down, again and again: nothing is held for what follows.
#[test]
fn an_echo_of_single_bytes_comes_back_byte_by_byte() {
    let text = events(&mut Random::new(7), 40);
    every_pairing(
        || upstream().respond_early(|_| Script::new().echo()),
        |_, client: &mut Client, _| {
            let ask = Ask::post("/v1/files", "").body(Vec::new(), Length::Unknown);
            let mut exchange = client.begin(&ask);
            let mut answer = exchange.head();
            for byte in text.chunks(1) {
                exchange.send(&Bytes::copy_from_slice(byte));
                assert_eq!(exchange.bytes(&mut answer, 1), byte);
            }
            exchange.end();
            assert_eq!(exchange.piece(&mut answer), None);
        },
    );
}
