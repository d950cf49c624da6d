//! `routes[].heartbeat`: comments for the client of a stream of events that is silent; between two events, and
//! nowhere else.

use std::time::Duration;

use bytes::Bytes;
use firstbyte::config::Config;
use loadtest::upstream::{Builder, Script, Seen, Step, Upstream};

use crate::support::fixture::Fixture;
use crate::support::message::{Answer, Ask, Length};
use crate::support::pairing::{CLIENTS, Client, Exchange, ORIGINS, Speaks};
use crate::support::peers::raw_http1;

const EVERY: Duration = Duration::from_millis(30);

/// Longer than several of these.
const SILENCE: Duration = Duration::from_millis(150);

const COMMENT: &[u8] = b":\n";

const COUNTER: &str = "firstbyte_heartbeats_total";

fn on(config: &mut Config) {
    config.routes[0].heartbeat = Some(EVERY);
}

/// An upstream that says what its client sends: so a test has the pace of both sides.
fn echo() -> Builder {
    let script = |_: &Seen| Script::new().early().stream().step(Step::Echo).finish();
    Upstream::builder().respond_early(script)
}

fn ask() -> Ask {
    Ask::post("/v1/x", "").body(Vec::new(), Length::Unknown)
}

/// Lets so much time go by that a stream would have got comments if it could: a witness, which is open all the while,
/// gets some.
fn silence(fixture: &Fixture) {
    let enough = fixture.count(COUNTER) + 3;
    fixture.wait_until("a witness had comments", |fixture| fixture.count(COUNTER) >= enough);
}

/// A client's side of one answer.
struct Conversation<'a> {
    exchange: Exchange<'a>,
    answer: Answer,
}

impl<'a> Conversation<'a> {
    fn begin(client: &'a mut Client) -> Self {
        let mut exchange = client.begin(&ask());
        let answer = exchange.head();
        Self { exchange, answer }
    }

    /// Comments come, and nothing else does.
    fn waits(&mut self) {
        for _ in 0..2 {
            let piece = self.exchange.piece(&mut self.answer).expect("the stream goes on");
            assert!(piece.chunks(2).all(|two| two == COMMENT), "{piece:?}");
        }
    }

    /// The upstream says `text` where a comment may come before it.
    fn begins(&mut self, text: &'static str) {
        self.reads(text, text, COMMENT);
    }

    /// The upstream says `text` where nothing may.
    fn goes_on(&mut self, text: &'static str) {
        self.reads(text, text, b"no comment");
    }

    /// The upstream ends; comments may come until then.
    fn ends(&mut self) {
        self.exchange.end();
        while let Some(piece) = self.exchange.piece(&mut self.answer) {
            assert!(piece.chunks(2).all(|two| two == COMMENT), "{piece:?}");
        }
    }

    /// The upstream says `text`, and `left` comes of it.
    fn reads(&mut self, text: &'static str, left: &str, before: &[u8]) {
        self.exchange.send(&Bytes::from_static(text.as_bytes()));
        let mut came = Vec::new();
        while came.len() < left.len() {
            came.extend_from_slice(&self.exchange.piece(&mut self.answer).expect("more of it"));
            while came.starts_with(before) {
                came.drain(..before.len());
            }
        }
        assert_eq!(String::from_utf8_lossy(&came), left);
    }
}

#[test]
fn comments_come_between_two_events_and_nowhere_else() {
    for origin in ORIGINS {
        let fixture = origin.configured(echo(), on);
        let mut witness = Speaks::Http1.connect(&fixture);
        let _witness = Conversation::begin(&mut witness);
        for speaks in CLIENTS {
            eprintln!("client {speaks:?}, upstream {origin:?}");
            let mut client = speaks.connect(&fixture);
            let mut talk = Conversation::begin(&mut client);
            // Before the first event; then behind each way in which one ends, and behind an upstream's own comment.
            talk.waits();
            for event in ["id: 1\ndata: {}\n\n", "data: a\r\n\r\n", "data\r\r\n", ": hi\n", "\n"] {
                talk.begins(event);
                talk.waits();
            }
            // In a line, between two lines, between CR and LF.
            talk.begins("da");
            for part in ["ta: a", "\r", "\n", "\r", "\n"] {
                silence(&fixture);
                talk.goes_on(part);
            }
            talk.waits();
            // Behind the last event.
            talk.begins("data: [DONE]\n\n");
            silence(&fixture);
            talk.exchange.end();
            assert_eq!(talk.exchange.piece(&mut talk.answer), None);
        }
        assert!(fixture.count(COUNTER) >= 2 * 7 * 2);
    }
}

/// There it is no part of the text, which begins with the comment now.
#[test]
fn a_byte_order_mark_behind_a_comment_is_left_out() {
    let fixture = Fixture::configured(echo(), on);
    let mut witness = Speaks::Http1.connect(&fixture);
    let _witness = Conversation::begin(&mut witness);
    for speaks in CLIENTS {
        let mut client = speaks.connect(&fixture);
        let mut talk = Conversation::begin(&mut client);
        talk.waits();
        talk.reads("\u{feff}data: a\n\n", "data: a\n\n", COMMENT);
        talk.begins("\u{feff}data: b\n\n");
        talk.ends();
        // Alone it is nothing, and no end.
        let mut talk = Conversation::begin(&mut client);
        talk.waits();
        talk.reads("\u{feff}", "", COMMENT);
        silence(&fixture);
        talk.begins("data: a\n\n");
    }
}

#[test]
fn what_is_no_text_of_events_is_left_as_it_is() {
    let script = |seen: &Seen| {
        let (event, own) = ("data: a\n\n", ("content-type", "text/event-stream"));
        let script = Script::new();
        let script = match seen.path_only() {
            "/v1/zipped" => script.head(200, &[own, ("content-encoding", "gzip")]),
            "/v1/counted" => script.head(200, &[own, ("content-length", "18")]),
            "/v1/lines" => script.head(200, &[("content-type", "application/x-ndjson")]),
            _ => script.head(200, &[]),
        };
        script.wait(SILENCE).body(event).wait(SILENCE).body(event).finish()
    };
    for origin in ORIGINS {
        let fixture = origin.configured(Upstream::builder().respond(script), on);
        std::thread::scope(|scope| {
            for path in ["/v1/zipped", "/v1/counted", "/v1/lines", "/v1/nothing"] {
                for speaks in CLIENTS {
                    let fixture = &fixture;
                    scope.spawn(move || {
                        let answer = speaks.connect(fixture).ask(&Ask::get(path));
                        assert_eq!(answer.body(), b"data: a\n\ndata: a\n\n", "{path}");
                    });
                }
            }
        });
        assert_eq!(fixture.count(COUNTER), 0);
    }
}

#[test]
fn nothing_comes_before_the_head() {
    let script = Script::new().stream_after(SILENCE).wait(SILENCE).body("data: a\n\n").finish();
    let fixture = Fixture::configured(Upstream::builder().script(script), on);
    let mut client = raw_http1::Client::connect(&fixture);
    client.ask("/v1/x", b"{}");
    // The first byte that comes is the head's.
    let head = client.head().expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut body = Vec::new();
    assert!(client.chunks(&mut body));
    let comments = body.strip_suffix(b"data: a\n\n").expect("the event");
    assert!(!comments.is_empty() && comments.chunks(2).all(|two| two == COMMENT), "{body:?}");
}

/// A heartbeat says that we are there. Whether the upstream is, its own bytes say.
#[test]
fn the_upstreams_silence_ends_the_stream_all_the_same() {
    let script = Script::new().stream().body("data: a\n\n").stall();
    let fixture = Fixture::configured(Upstream::builder().script(script), |config| {
        on(config);
        config.upstreams[0].deadlines.frame_gap = EVERY * 10;
    });
    let mut client = raw_http1::Client::connect(&fixture);
    client.ask("/v1/x", b"{}");
    let answer = client.answer().expect("an answer");
    assert!(!answer.whole && answer.body.ends_with(COMMENT), "{answer:?}");
    fixture.wait_until("it is counted", |fixture| {
        fixture.count("firstbyte_timeouts_total{clock=\"frame_gap\"}") == 1
    });
    assert!(fixture.count(COUNTER) > 1);
}

/// What the client gets of ours is no chunk of the upstream's to any clock or distribution.
#[test]
fn comments_make_no_gaps() {
    let script = Script::new().stream().body("data: a\n\n").wait(EVERY * 10).body("data: b\n\n");
    let fixture = Fixture::configured(Upstream::builder().script(script.finish()), on);
    let mut client = raw_http1::Client::connect(&fixture);
    client.ask("/v1/x", b"{}");
    assert!(client.answer().expect("an answer").whole);
    for side in ["upstream", "client"] {
        let gaps = format!("firstbyte_chunk_gap_seconds_count{{side=\"{side}\"}}");
        fixture.wait_until("it is counted", |fixture| fixture.count(&gaps) == 1);
    }
    assert!(fixture.count(COUNTER) > 1);
}
