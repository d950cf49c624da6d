//! Server-sent events, found by scanning bytes: at a million events a second nothing may be parsed
//! that need not be, and nothing copied but an event that two reads share.

use std::cell::Cell;

use memchr::{memchr_iter, memmem};

/// Events longer than this are passed on in parts (each part as an event of its own), so that a
/// peer that never ends one costs bounded memory. In bytes.
const EVENT_MAX: usize = 1024 * 1024;

/// Cuts a body into events at blank lines.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    /// The event begun in an earlier read.
    carry: Vec<u8>,
    /// Whether the present line has anything in it but a CR.
    line_started: bool,
}

impl Splitter {
    /// Hands each event that `bytes` completes, its blank line included, to `event`. The bytes
    /// handed out are, in order and without loss, those fed, but for an unfinished rest.
    pub(super) fn feed(&mut self, bytes: &[u8], mut event: impl FnMut(&[u8])) {
        let (mut start, mut line) = (0, 0);
        for newline in memchr_iter(b'\n', bytes) {
            let started = self.line_started || has_content(&bytes[line..newline]);
            line = newline + 1;
            self.line_started = false;
            if started {
                continue;
            }
            if self.carry.is_empty() {
                event(&bytes[start..line]);
            } else {
                self.carry.extend_from_slice(&bytes[start..line]);
                event(&self.carry);
                self.carry.clear();
            }
            start = line;
        }
        self.line_started |= has_content(&bytes[line..]);
        self.carry.extend_from_slice(&bytes[start..]);
        if self.carry.len() > EVENT_MAX {
            event(&self.carry);
            self.carry = Vec::new();
        }
    }

    /// What was fed after the last complete event.
    pub(super) fn rest(&self) -> &[u8] {
        &self.carry
    }
}

fn has_content(line: &[u8]) -> bool {
    !matches!(line, [] | [b'\r'])
}

/// What an event is to a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Blank lines or a comment: keep-alive, not an event.
    Comment,
    /// Carries generated text.
    Content,
    /// Any other event.
    Other,
    /// The stream's own end.
    Done,
    /// The stream says that it failed.
    Error,
}

/// A word to find. Events of a stream are much alike: where it stood last is looked at first.
#[derive(Debug)]
struct Needle {
    finder: memmem::Finder<'static>,
    last: Cell<usize>,
}

impl Needle {
    fn new(word: &'static str) -> Self {
        Self { finder: memmem::Finder::new(word.as_bytes()), last: Cell::new(0) }
    }

    /// What follows an occurrence: the one where the last was found, or else the first.
    fn after<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let word = self.finder.needle();
        let last = bytes.get(self.last.get()..).and_then(|rest| rest.strip_prefix(word));
        last.or_else(|| {
            let place = self.finder.find(bytes)?;
            self.last.set(place);
            bytes.get(place + word.len()..)
        })
    }
}

/// Needles prepared once per thread of use; finding does not allocate.
#[derive(Debug)]
pub(super) struct Needles {
    content: Needle,
    delta: Needle,
    text: Needle,
    sent: Needle,
    received: Needle,
    digest: Needle,
    completion: Needle,
    output: Needle,
}

impl Needles {
    pub(super) fn new() -> Self {
        Self {
            content: Needle::new("\"content\":"),
            delta: Needle::new("\"delta\":"),
            text: Needle::new("\"text\":"),
            sent: Needle::new("\"sent_ns\":"),
            received: Needle::new("\"recv_ns\":"),
            digest: Needle::new("\"sha256\":\""),
            completion: Needle::new("\"completion_tokens\":"),
            output: Needle::new("\"output_tokens\":"),
        }
    }

    /// Says what `event` is. The three API shapes are told apart by the key that holds the text:
    /// `content` (chat completions), `delta` as a string (responses), `text` (completions).
    pub(super) fn kind(&self, event: &[u8]) -> Kind {
        let (name, data) = fields(event);
        let Some(data) = data else {
            return if name.is_empty() { Kind::Comment } else { Kind::Other };
        };
        if data.starts_with(b"[DONE]") {
            return Kind::Done;
        }
        if name == b"error" || data.starts_with(b"{\"error\"") || name == b"response.failed" {
            return Kind::Error;
        }
        if name == b"response.completed" || name == b"response.incomplete" {
            return Kind::Done;
        }
        if name.is_empty() {
            if filled(&self.content, data) || filled(&self.text, data) {
                return Kind::Content;
            }
        } else if name.ends_with(b".delta") && filled(&self.delta, data) {
            return Kind::Content;
        }
        Kind::Other
    }

    /// The mock's stamp of sending, if the event carries one.
    pub(super) fn sent_ns(&self, event: &[u8]) -> Option<u64> {
        number(&self.sent, event)
    }

    /// The mock's stamp of the request's arrival, if the event carries one.
    pub(super) fn recv_ns(&self, event: &[u8]) -> Option<u64> {
        number(&self.received, event)
    }

    /// The mock's digest of all bytes before this event, if the event carries one.
    pub(super) fn digest<'a>(&self, event: &'a [u8]) -> Option<&'a [u8]> {
        self.digest.after(event)?.get(..64)
    }

    /// Tokens generated, where the bytes hold a `usage` object.
    pub(super) fn usage_tokens(&self, bytes: &[u8]) -> Option<u64> {
        number(&self.completion, bytes).or_else(|| number(&self.output, bytes))
    }
}

/// The event's name and the start of its data; only the first line of each counts.
fn fields(event: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (mut name, mut rest) = (&b""[..], event);
    loop {
        if let Some(data) = rest.strip_prefix(b"data:") {
            return (name, Some(data.strip_prefix(b" ").unwrap_or(data)));
        }
        let Some(end) = memchr::memchr(b'\n', rest) else { return (name, None) };
        if let Some(value) = rest[..end].strip_prefix(b"event:") {
            name = value.trim_ascii();
        }
        rest = &rest[end + 1..];
    }
}

/// Whether some `needle` in `data` is followed by a string that is not empty.
fn filled(needle: &Needle, data: &[u8]) -> bool {
    let full = |after: &[u8]| matches!(after.trim_ascii_start(), [b'"', next, ..] if *next != b'"');
    let Some(after) = needle.after(data) else { return false };
    let (finder, word) = (&needle.finder, needle.finder.needle());
    full(after) || finder.find_iter(data).any(|place| full(&data[place + word.len()..]))
}

/// The number, bare or in quotes, after the first `needle`.
fn number(needle: &Needle, bytes: &[u8]) -> Option<u64> {
    let after = needle.after(bytes)?.trim_ascii_start();
    let after = after.strip_prefix(b"\"").unwrap_or(after);
    let (mut sum, mut digits) = (0_u64, 0);
    for digit in after.iter().map(|byte| byte.wrapping_sub(b'0')).take_while(|digit| *digit < 10) {
        digits += 1;
        // So many digits always fit.
        sum = if digits <= 19 {
            sum * 10 + u64::from(digit)
        } else {
            sum.checked_mul(10)?.checked_add(u64::from(digit))?
        };
    }
    (digits > 0).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b": hi\n\ndata: {\"a\":1}\r\n\r\nevent: x\ndata: y\n\n\ndata: [DONE]\n\n";

    fn events(parts: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut splitter, mut all) = (Splitter::default(), Vec::new());
        for part in parts {
            splitter.feed(part, |event| all.push(event.to_vec()));
        }
        assert!(splitter.rest().is_empty());
        all
    }

    #[test]
    fn every_split_gives_the_same_events_and_loses_no_byte() {
        let whole = events(&[STREAM]);
        assert_eq!(whole.len(), 5);
        assert_eq!(whole.concat(), STREAM);
        for split in 0..STREAM.len() {
            assert_eq!(events(&[&STREAM[..split], &STREAM[split..]]), whole, "split at {split}");
        }
    }

    #[test]
    fn an_event_without_end_is_bounded() {
        let mut splitter = Splitter::default();
        let mut seen = 0;
        for _ in 0..40 {
            splitter.feed(&vec![b'x'; 64 * 1024], |event| seen += event.len());
            assert!(splitter.rest().len() <= EVENT_MAX);
        }
        assert_eq!(seen + splitter.rest().len(), 40 * 64 * 1024);
    }

    #[test]
    fn kinds_follow_the_three_apis() {
        let needles = Needles::new();
        let chat = |delta: &str| format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n");
        let kind = |event: &str| needles.kind(event.as_bytes());
        assert_eq!(kind(&chat(r#"{"role":"assistant","content":""}"#)), Kind::Other);
        assert_eq!(kind(&chat(r#"{"content": "Hi"}"#)), Kind::Content);
        assert_eq!(kind("data: {\"choices\":[{\"text\":\"a\"}]}\n\n"), Kind::Content);
        let named = |name, data| kind(&format!("event: {name}\ndata: {data}\n\n"));
        assert_eq!(named("response.output_text.delta", r#"{"delta":"a"}"#), Kind::Content);
        assert_eq!(named("response.created", r#"{"text":"a"}"#), Kind::Other);
        assert_eq!(named("response.completed", "{}"), Kind::Done);
        assert_eq!(named("error", "{}"), Kind::Error);
        assert_eq!(kind("data: {\"error\":{\"message\":\"x\"}}\n\n"), Kind::Error);
        assert_eq!(kind(": ping\n\n"), Kind::Comment);
        assert_eq!(kind("data: [DONE]\n\n"), Kind::Done);
    }

    #[test]
    fn stamps_are_read_quoted_or_bare() {
        let needles = Needles::new();
        let event = br#"data: {"mock":{"seq":0,"sent_ns":"00000000000000000042","recv_ns":7}}"#;
        assert_eq!(needles.sent_ns(event), Some(42));
        assert_eq!(needles.recv_ns(event), Some(7));
        assert_eq!(needles.usage_tokens(br#"{"usage":{"completion_tokens": 12}}"#), Some(12));
        assert_eq!(needles.sent_ns(br#"{"sent_ns":"99999999999999999999"}"#), None);
    }
}
