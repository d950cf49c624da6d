//! A script: what the upstream does with one request, step by step, over time.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::span;
use super::sse::About;
use super::wire::Cut;

/// A list of steps, carried out in order. When the list is exhausted without an end, the answer is finished
/// cleanly.
///
/// Time is by deadline: each waiting step moves a cursor that began when the script did, so that late wake-ups
/// do not add up. Steps that are due at the same time leave together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// What to do.
    pub steps: Vec<Step>,
    /// Begin when the request's head has arrived, not its whole body; the body is read meanwhile.
    pub early: bool,
    /// Never read the request's body: backpressure for whoever sends it. Implies `early`.
    pub unread: bool,
    /// What the standard stream says about itself; None takes it from the request.
    #[serde(skip)]
    pub about: Option<About>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Moves the cursor and waits for it.
    Wait(#[serde(with = "span")] Duration),
    /// Waits until the whole request body has arrived (for early scripts); the cursor moves to that moment.
    AwaitBody,
    /// An interim answer, such as 100 or 103. Over HTTP/1.1 any 1xx but 101.
    Informational(Head),
    /// The final head.
    Head(Head),
    /// Stamped content frames.
    Tokens(Tokens),
    /// The standard end of a stream: finish reason, usage if asked for, the hash, `[DONE]`. Does not end the body.
    Done,
    /// One body frame (chunk), exactly these bytes.
    Body(#[serde(with = "text")] Bytes),
    /// So many random-looking but fixed body bytes, in frames of 16 KiB: byte `i` is `b'a' + i % 26`.
    Filler(u64),
    /// The request's body, back as it arrives.
    Echo,
    /// JSON with the length and SHA-256 of the request's body, once that has ended.
    EchoSha256,
    /// Bytes on the wire without any framing, between two frames. HTTP/2: frame them yourself.
    Wire(#[serde(with = "text")] Bytes),
    /// So many DATA frames without content and without END_STREAM. Over HTTP/1.1 nothing.
    EmptyFrames(u32),
    /// An SSE `data:` frame whose JSON is an error object, as OpenAI sends in the middle of a stream.
    ErrorEvent(ErrorEvent),
    /// The body's end with trailers. Nothing can follow.
    Trailers(Vec<(String, String)>),
    /// The body's clean end.
    Finish,
    /// The same, but never on the last DATA frame: END_STREAM (or the last chunk) leaves on its own.
    FinishSeparately,
    /// Nothing, until the peer leaves.
    Stall,
    /// Ends the connection.
    Cut(Cut),
    /// HTTP/2: RST_STREAM with this error code (RFC 9113, section 7). HTTP/1.1: TCP RST.
    Reset(u32),
    /// HTTP/2: RST_STREAM(REFUSED_STREAM). HTTP/1.1: a close without an answer.
    Refuse,
    /// HTTP/2: GOAWAY. HTTP/1.1: a close after this answer.
    Goaway(Goaway),
}

/// A status and header lines. An invalid name or value is written as it is over HTTP/1.1 and left out over HTTP/2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// 100 to 999.
    pub status: u16,
    /// In order, duplicates allowed. With `content-length` HTTP/1.1 does not chunk.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// HTTP/1.1 without length and chunks: the body ends when the connection does.
    #[serde(default)]
    pub until_close: bool,
}

/// Content frames at a pace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// How many.
    pub count: u64,
    /// From one to the next; zero means back to back. The first is due at the cursor, and the cursor stays at the last.
    #[serde(with = "span")]
    pub every: Duration,
    /// Size of one frame with its SSE framing. Under about 260 bytes the frame is not a whole chunk of the API
    /// any more, under about 70 it has no stamp. 0 means the smallest whole one.
    pub bytes: usize,
    /// How many events that are due together share one DATA frame (or chunk): 1 for none.
    pub pack: usize,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { count: 1, every: Duration::ZERO, bytes: 0, pack: 1 }
    }
}

/// What an error event says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorEvent {
    /// For people.
    pub message: String,
    /// Such as `server_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Such as `rate_limit_exceeded`.
    #[serde(default)]
    pub code: Option<String>,
}

/// Which streams a GOAWAY disowns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goaway {
    /// A warning first, then the final frame once the peer has seen it; streams in flight finish, none is lost.
    Graceful,
    /// At once, the last stream being this one, as nginx does: requests that cross it on the way are lost.
    AfterThis,
    /// At once, the last stream being the one before this: this request counts as not processed.
    BelowThis,
    /// AfterThis with INTERNAL_ERROR.
    Error,
}

impl Script {
    /// No step yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins at the request's head instead of its body's end.
    #[must_use]
    pub fn early(mut self) -> Self {
        self.early = true;
        self
    }

    /// Never reads the request's body.
    #[must_use]
    pub fn unread_body(mut self) -> Self {
        self.unread = true;
        self.early()
    }

    /// Whether the request's body goes back.
    pub(super) fn echoes(&self) -> bool {
        self.steps.contains(&Step::Echo)
    }

    /// Adds any step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Waits for `time`.
    #[must_use]
    pub fn wait(self, time: Duration) -> Self {
        self.step(Step::Wait(time))
    }

    /// Waits for the whole request body; for early scripts.
    #[must_use]
    pub fn await_body(self) -> Self {
        self.step(Step::AwaitBody)
    }

    /// An interim answer without headers.
    #[must_use]
    pub fn informational(self, status: u16) -> Self {
        self.step(Step::Informational(Head::new(status)))
    }

    /// A head.
    #[must_use]
    pub fn head(self, status: u16, headers: &[(&str, &str)]) -> Self {
        let owned = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let head = Head { headers: owned.collect(), ..Head::new(status) };
        self.step(Step::Head(head))
    }

    /// The head of an event stream: 200 and `text/event-stream`.
    #[must_use]
    pub fn stream(self) -> Self {
        self.head(200, &[("content-type", "text/event-stream; charset=utf-8")])
    }

    /// The same after `time`.
    #[must_use]
    pub fn stream_after(self, time: Duration) -> Self {
        self.wait(time).stream()
    }

    /// `count` stamped content frames, one every `every`, of the smallest whole size.
    #[must_use]
    pub fn tokens(self, count: u64, every: Duration) -> Self {
        self.step(Step::Tokens(Tokens { count, every, ..Tokens::default() }))
    }

    /// `count` stamped content frames of `bytes` bytes each.
    #[must_use]
    pub fn tokens_of(self, count: u64, every: Duration, bytes: usize) -> Self {
        self.step(Step::Tokens(Tokens { count, every, bytes, ..Tokens::default() }))
    }

    /// The standard end of a stream, `[DONE]` included, and the body's clean end.
    #[must_use]
    pub fn done(self) -> Self {
        self.step(Step::Done).finish()
    }

    /// One body frame.
    #[must_use]
    pub fn body(self, bytes: impl Into<Bytes>) -> Self {
        self.step(Step::Body(bytes.into()))
    }

    /// A whole answer with a length.
    #[must_use]
    pub fn answer(self, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let length = body.len().to_string();
        let mut all = headers.to_vec();
        all.push(("content-length", &length));
        self.head(status, &all).body(body).finish()
    }

    /// An answer in the shape of OpenAI's errors.
    #[must_use]
    pub fn error(self, status: u16, kind: &str, code: Option<&str>, message: &str) -> Self {
        let event = ErrorEvent::new(kind, code, message);
        self.answer(status, &[("content-type", "application/json")], event.json())
    }

    /// 429 with `retry-after` in whole seconds, in the shape of OpenAI's errors.
    #[must_use]
    pub fn rate_limited(self, retry_after: Duration) -> Self {
        let event = ErrorEvent::new("requests", Some("rate_limit_exceeded"), "Rate limit reached");
        let seconds = retry_after.as_secs().to_string();
        let headers = [("content-type", "application/json"), ("retry-after", seconds.as_str())];
        self.answer(429, &headers, event.json())
    }

    /// An error event in the middle of a stream.
    #[must_use]
    pub fn error_event(self, message: &str) -> Self {
        self.step(Step::ErrorEvent(ErrorEvent::new("server_error", None, message)))
    }

    /// The request's body back, as it arrives.
    #[must_use]
    pub fn echo(self) -> Self {
        self.early()
            .head(200, &[("content-type", "application/octet-stream")])
            .step(Step::Echo)
            .finish()
    }

    /// Trailers, which end the body.
    #[must_use]
    pub fn trailers(self, lines: &[(&str, &str)]) -> Self {
        let owned = lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let owned = owned.collect();
        self.step(Step::Trailers(owned))
    }

    /// The body's clean end.
    #[must_use]
    pub fn finish(self) -> Self {
        self.step(Step::Finish)
    }

    /// Nothing more, until the peer leaves.
    #[must_use]
    pub fn stall(self) -> Self {
        self.step(Step::Stall)
    }

    /// Ends the connection.
    #[must_use]
    pub fn cut(self, how: Cut) -> Self {
        self.step(Step::Cut(how))
    }

    /// RST_STREAM with `code`.
    #[must_use]
    pub fn reset(self, code: u32) -> Self {
        self.step(Step::Reset(code))
    }

    /// RST_STREAM(REFUSED_STREAM).
    #[must_use]
    pub fn refuse(self) -> Self {
        self.early().step(Step::Refuse)
    }

    /// GOAWAY.
    #[must_use]
    pub fn goaway(self, which: Goaway) -> Self {
        self.step(Step::Goaway(which))
    }
}

impl Head {
    /// A head without lines.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), until_close: false }
    }

    /// The first value of a header, by name in any case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }
}

impl ErrorEvent {
    /// An error of this kind.
    pub fn new(kind: &str, code: Option<&str>, message: &str) -> Self {
        Self { message: message.to_owned(), kind: kind.to_owned(), code: code.map(str::to_owned) }
    }

    /// `{"error":{"message","type","param","code"}}`.
    pub fn json(&self) -> String {
        let error = serde_json::json!({
            "message": self.message, "type": self.kind, "param": null, "code": self.code,
        });
        serde_json::json!({ "error": error }).to_string()
    }
}

/// Bytes as a JSON string; what is not UTF-8 cannot be written to a file, and is replaced there.
mod text {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&String::from_utf8_lossy(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        String::deserialize(from).map(Bytes::from)
    }
}
