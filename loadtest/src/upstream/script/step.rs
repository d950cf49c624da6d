//! The steps of a script: what can happen to one answer.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::duration;
use crate::upstream::wire::Cut;

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Moves the cursor and waits for it.
    Wait(#[serde(with = "duration")] Duration),
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
    #[serde(with = "duration")]
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

impl Head {
    /// A head without lines.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), until_close: false }
    }

    /// The first value of a header, by name in any case.
    pub(in crate::upstream) fn header(&self, name: &str) -> Option<&str> {
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
