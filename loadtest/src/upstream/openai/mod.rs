//! A plausible OpenAI: what is answered when no script says otherwise.

mod bodies;
mod named;

pub use named::NAMED_SCRIPTS;

use std::time::Duration;

use serde::Deserialize;

use super::clock;
use super::script::Script;
use super::script::seen::Seen;
use super::script::step::{Head, Step, Tokens};
use super::stream::chunk::{About, Shape};
use crate::duration;

/// The pace and size of standard answers. A request overrides them by the headers `x-mock-tokens`,
/// `x-mock-first-ms`, `x-mock-gap-us` and `x-mock-frame-bytes`, or asks for a named script by `x-mock-script`.
#[derive(Clone, Debug, PartialEq)]
pub struct Standard {
    /// From the request's end to the answer's head.
    pub first_after: Duration,
    /// From one token to the next; zero means back to back.
    pub every: Duration,
    /// How many.
    pub tokens: u64,
    /// Size of one frame; see [`Tokens::bytes`].
    pub frame_bytes: usize,
    /// How many events that are due together share a frame; see [`Tokens::pack`].
    pub pack: usize,
}

impl Default for Standard {
    fn default() -> Self {
        Self {
            first_after: Duration::ZERO,
            every: Duration::ZERO,
            tokens: 16,
            frame_bytes: 0,
            pack: 1,
        }
    }
}

/// What a request asks for, as far as the mock cares.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Asked {
    model: Option<String>,
    stream: bool,
    stream_options: Option<StreamOptions>,
    n: Option<u64>,
    input: serde_json::Value,
    dimensions: Option<usize>,
    encoding_format: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
}

impl Standard {
    /// What this request is answered; also for scripts that answer only some requests themselves.
    pub fn answer(&self, seen: &Seen) -> Script {
        let pace = self.overridden(seen);
        if let Some(name) = seen.header("x-mock-script") {
            return named::by_name(name, &pace, seen);
        }
        let path = seen.path_only();
        match (seen.method.as_str(), path) {
            ("POST", "/v1/chat/completions") => pace.generation(seen, Shape::Chat),
            ("POST", "/v1/completions") => pace.generation(seen, Shape::Completion),
            ("POST", "/v1/responses") => pace.generation(seen, Shape::Responses),
            ("POST", "/v1/embeddings") => match asked(seen) {
                Ok(asked) => whole(seen, 200, &bodies::embeddings(&asked)),
                Err(script) => script,
            },
            ("GET" | "HEAD", "/v1/models") => whole(seen, 200, &bodies::models()),
            ("GET" | "HEAD", "/health") => whole(seen, 200, &serde_json::json!({"status": "ok"})),
            ("POST", "/v1/files") => whole(seen, 200, &bodies::file(seen)),
            ("POST", "/v1/audio/transcriptions" | "/v1/audio/translations") => {
                whole(seen, 200, &bodies::transcription(seen))
            }
            ("GET", _) if path.starts_with("/v1/models/") => {
                whole(seen, 200, &bodies::model(&path["/v1/models/".len()..]))
            }
            _ => whole(seen, 404, &bodies::unknown(&seen.method, path)),
        }
    }

    /// Named scripts that begin before the body has been read.
    pub(super) fn at_head(&self, seen: &Seen) -> Option<Script> {
        let name = seen.header("x-mock-script")?;
        Some(named::by_name(name, self, seen)).filter(Script::begins_at_head)
    }

    fn generation(&self, seen: &Seen, shape: Shape) -> Script {
        let asked = match asked(seen) {
            Ok(asked) => asked,
            Err(script) => return script,
        };
        let about = about_of(&asked, shape, seen);
        let script = Script { about: Some(about.clone()), ..Script::new().wait(self.first_after) };
        if asked.stream {
            return self.stream_of(script, seen);
        }
        let pauses = u32::try_from(self.tokens.saturating_sub(1)).unwrap_or(u32::MAX);
        let all = self.every.saturating_mul(pauses);
        let body = bodies::generation(&about, seen, self.tokens, asked.n.unwrap_or(1).clamp(1, 16));
        let mut script = script.wait(all);
        script.steps.extend(whole(seen, 200, &body).steps);
        script
    }

    /// Head, tokens and end, appended to `script`.
    fn stream_of(&self, script: Script, seen: &Seen) -> Script {
        let script = self.stream_begun(script, seen, self.tokens);
        script.step(Step::Done).finish()
    }

    /// Head and the first `count` tokens.
    fn stream_begun(&self, script: Script, seen: &Seen, count: u64) -> Script {
        let mut headers = common_headers(seen);
        headers.push(("content-type".to_owned(), "text/event-stream; charset=utf-8".to_owned()));
        headers.push(("cache-control".to_owned(), "no-cache".to_owned()));
        let (every, bytes, pack) = (self.every, self.frame_bytes, self.pack);
        script.step(Step::Head(Head { headers, ..Head::new(200) })).step(Step::Tokens(Tokens {
            count,
            every,
            bytes,
            pack,
        }))
    }

    fn overridden(&self, seen: &Seen) -> Self {
        let number =
            |name: &str| seen.header(name).and_then(|text| text.trim().parse::<u64>().ok());
        let first_after = number("x-mock-first-ms").map(Duration::from_millis);
        let every = number("x-mock-gap-us").map(Duration::from_micros);
        let frame_bytes = number("x-mock-frame-bytes").map(|bytes| bytes.min(1 << 20) as usize);
        Self {
            first_after: first_after.unwrap_or(self.first_after),
            every: every.unwrap_or(self.every),
            tokens: number("x-mock-tokens").unwrap_or(self.tokens),
            frame_bytes: frame_bytes.unwrap_or(self.frame_bytes),
            pack: self.pack,
        }
    }
}

/// Whether the body is a file: counted and hashed, but not kept.
pub(super) fn is_upload(seen: &Seen) -> bool {
    let multipart = seen.header("content-type").is_some_and(|kind| kind.starts_with("multipart/"));
    multipart || seen.path.starts_with("/v1/files") || seen.path.starts_with("/v1/audio/")
}

/// What a stream that answers this request says about itself.
pub(super) fn about(seen: &Seen) -> About {
    let shape = match seen.path_only() {
        "/v1/completions" => Shape::Completion,
        "/v1/responses" => Shape::Responses,
        _ => Shape::Chat,
    };
    about_of(&asked(seen).unwrap_or_default(), shape, seen)
}

fn about_of(asked: &Asked, shape: Shape, seen: &Seen) -> About {
    let usage = asked.stream_options.as_ref().is_some_and(|options| options.include_usage);
    let model = asked.model.clone().unwrap_or_else(|| About::default().model);
    About { shape, model, usage, prompt_tokens: (seen.body_len / 4).max(1) }
}

/// Reads the request's JSON; the error is the answer to give.
fn asked(seen: &Seen) -> Result<Asked, Script> {
    serde_json::from_slice(&seen.body).map_err(|error| {
        let (status, message) = if seen.body_len > seen.body.len() as u64 {
            (413, "The request is too large for this mock upstream.".to_owned())
        } else {
            (400, format!("We could not parse the JSON body of your request: {error}"))
        };
        whole(seen, status, &bodies::error("invalid_request_error", None, &message))
    })
}

/// A whole JSON answer with the headers that OpenAI sends.
fn whole(seen: &Seen, status: u16, body: &serde_json::Value) -> Script {
    let body = body.to_string();
    let mut headers = common_headers(seen);
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    headers.push(("content-length".to_owned(), body.len().to_string()));
    Script::new().step(Step::Head(Head { headers, ..Head::new(status) })).body(body).finish()
}

/// What every answer of OpenAI carries.
fn common_headers(seen: &Seen) -> Vec<(String, String)> {
    let took = clock::now_ns().saturating_sub(seen.head_ns) / 1_000_000;
    let lines = [
        ("x-request-id", format!("req_{:032x}", seen.nth)),
        ("openai-processing-ms", took.to_string()),
        ("openai-version", "2020-10-01".to_owned()),
        ("openai-organization", "mock-org".to_owned()),
        ("x-ratelimit-limit-requests", "10000".to_owned()),
        ("x-ratelimit-remaining-requests", "9999".to_owned()),
        ("x-ratelimit-reset-requests", "6ms".to_owned()),
        ("x-ratelimit-limit-tokens", "1000000".to_owned()),
        ("x-ratelimit-remaining-tokens", "999000".to_owned()),
        ("x-ratelimit-reset-tokens", "60ms".to_owned()),
    ];
    lines.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A duration in a header, as [`duration`] reads it.
fn header_duration(seen: &Seen, name: &str) -> Option<Duration> {
    seen.header(name).and_then(|text| duration::parse(text).ok())
}
