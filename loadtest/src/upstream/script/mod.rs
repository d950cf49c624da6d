//! A script: what the upstream does with one request, and the words in which to write one.

pub(in crate::upstream) mod intake;
pub(in crate::upstream) mod run;
pub(in crate::upstream) mod seen;
pub(in crate::upstream) mod sink;
pub(in crate::upstream) mod step;

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::stream::chunk::About;
use super::wire::Cut;
use step::{ErrorEvent, Goaway, Head, Step, Tokens};

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
