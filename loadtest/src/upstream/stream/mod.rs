//! The standard stream's frames, written into place in a template: nothing is serialised per frame.

pub(in crate::upstream) mod chunk;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

use chunk::{About, Shape};

/// The state of one answer's stream: which frame comes next, and the hash of what went before.
pub(in crate::upstream) struct Stream {
    about: About,
    nth: u64,
    recv_ns: u64,
    /// Of the next frame.
    seq: u64,
    tokens: u64,
    /// What was said, for the Responses API, which repeats it at the end.
    said: String,
    template: Option<Template>,
    hash: Option<Sha256>,
}

/// One content frame with places for what changes.
struct Template {
    /// The size that was asked for.
    bytes: usize,
    text: Vec<u8>,
    seq_at: Vec<usize>,
    sent_at: Option<usize>,
    stamped: u64,
}

const SEQ_WIDTH: usize = 10;
const NS_WIDTH: usize = 20;
/// Beyond this the Responses API's closing events do not repeat what was said.
const SAID_LIMIT: usize = 256 * 1024;

impl Stream {
    /// `nth` tells answers apart, `recv_ns` is when the request's head was read.
    pub(in crate::upstream) fn new(about: About, nth: u64, recv_ns: u64, hash: bool) -> Self {
        let hash = hash.then(Sha256::new);
        let said = String::new();
        Self { about, nth, recv_ns, seq: 0, tokens: 0, said, template: None, hash }
    }

    /// Adds body bytes that were not written here to the hash.
    pub(in crate::upstream) fn passed(&mut self, bytes: &[u8]) {
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
    }

    /// The frames before the first content frame; only the Responses API has any, and only once.
    pub(in crate::upstream) fn opening(&mut self, now: u64) -> Vec<Bytes> {
        if self.seq > 0 {
            return Vec::new();
        }
        let events = chunk::opening(&self.about, self.nth);
        events.into_iter().map(|(event, json)| self.event(event, &json, now, false)).collect()
    }

    /// The frames that end the stream. The last one before `[DONE]` carries the hash of all before it.
    pub(in crate::upstream) fn done(&mut self, now: u64) -> Vec<Bytes> {
        let events = chunk::closing(&self.about, self.nth, self.tokens, &self.said);
        let last = events.len().saturating_sub(1);
        let numbered = events.into_iter().enumerate();
        let mut frames: Vec<Bytes> =
            numbered.map(|(n, (event, json))| self.event(event, &json, now, n == last)).collect();
        if self.about.shape != Shape::Responses {
            frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
        }
        frames
    }

    /// Appends the next content frame, `bytes` long if that is possible, stamped with `now`.
    pub(in crate::upstream) fn token(&mut self, out: &mut BytesMut, bytes: usize, now: u64) {
        let start = out.len();
        if self.tokens == 0 {
            let mock = self.mock(now, false);
            let text = chunk::content(&self.about, self.nth, true, bytes, &mock);
            self.say(&text);
            out.extend_from_slice(&number(text, self.seq));
        } else {
            self.later(out, bytes, now);
        }
        self.seq += 1;
        self.tokens += 1;
        if let Some(hash) = &mut self.hash {
            hash.update(&out[start..]);
        }
    }

    /// The hot path: patch two numbers, copy.
    fn later(&mut self, out: &mut BytesMut, bytes: usize, now: u64) {
        if self.template.as_ref().is_none_or(|template| template.bytes != bytes) {
            let text = chunk::content(&self.about, self.nth, false, bytes, &self.mock(0, false));
            self.template = Some(Template::new(bytes, number(text, self.seq)));
        }
        let Some(template) = &mut self.template else { return };
        template.stamp(self.seq, now);
        out.extend_from_slice(&template.text);
        if self.about.shape == Shape::Responses {
            let text = template.text.clone();
            self.say(&text);
        }
    }

    fn say(&mut self, frame: &[u8]) {
        if self.about.shape == Shape::Responses && self.said.len() < SAID_LIMIT {
            self.said.push_str(chunk::said(frame));
        }
    }

    /// One frame that is not content; `json` lacks its closing brace.
    fn event(&mut self, event: Option<&str>, json: &str, now: u64, digest: bool) -> Bytes {
        let line = event.map(|name| format!("event: {name}\n")).unwrap_or_default();
        let frame = format!("{line}data: {json},{}}}\n\n", self.mock(now, digest));
        let frame = Bytes::from(number(frame.into_bytes(), self.seq));
        self.passed(&frame);
        self.seq += 1;
        frame
    }

    /// The stamp, with a place for the number.
    fn mock(&self, now: u64, digest: bool) -> String {
        let mut more = String::new();
        if self.seq == 0 {
            more = format!(r#","recv_ns":"{:020}""#, self.recv_ns);
        }
        if let (true, Some(hash)) = (digest, &self.hash) {
            more = format!(r#"{more},"sha256":"{}""#, hex(&hash.clone().finalize()));
        }
        format!(r#""mock":{{"seq":         0,"sent_ns":"{now:020}"{more}}}"#)
    }
}

impl Template {
    fn new(bytes: usize, text: Vec<u8>) -> Self {
        let seq_at = seq_fields(&text);
        let sent_at = find(&text, br#""sent_ns":""#);
        Self { bytes, text, seq_at, sent_at, stamped: 0 }
    }

    fn stamp(&mut self, seq: u64, now: u64) {
        let digits = padded(seq);
        for at in &self.seq_at {
            self.text[*at..*at + SEQ_WIDTH].copy_from_slice(&digits);
        }
        if let (Some(at), true) = (self.sent_at, self.stamped != now) {
            self.stamped = now;
            let mut rest = now;
            for digit in self.text[at..at + NS_WIDTH].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
    }
}

/// Writes `seq` into every place for it.
fn number(mut text: Vec<u8>, seq: u64) -> Vec<u8> {
    for at in seq_fields(&text) {
        text[at..at + SEQ_WIDTH].copy_from_slice(&padded(seq));
    }
    text
}

/// Where the ten columns of each sequence number are.
fn seq_fields(text: &[u8]) -> Vec<usize> {
    let fields: [&[u8]; 2] = [br#""sequence_number":"#, br#""seq":"#];
    let room = |at: &usize| text[*at..].starts_with(b" ") && at + SEQ_WIDTH <= text.len();
    fields.iter().filter_map(|field| find(text, field)).filter(room).collect()
}

/// Where the text behind the first `needle` begins.
fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let at = text.windows(needle.len()).position(|window| window == needle)?;
    Some(at + needle.len())
}

/// Right-aligned in spaces: white space before a number is JSON, leading zeros are not.
fn padded(seq: u64) -> [u8; SEQ_WIDTH] {
    let mut digits = [b' '; SEQ_WIDTH];
    let mut rest = seq;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    digits
}

/// Lower-case hexadecimal.
pub(in crate::upstream) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let pairs = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    pairs.map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(frame: &[u8]) -> serde_json::Value {
        let text = std::str::from_utf8(frame).unwrap();
        let data = text.split("data: ").nth(1).unwrap();
        serde_json::from_str(data).unwrap()
    }

    fn stream(shape: Shape, usage: bool) -> Stream {
        Stream::new(About { shape, usage, ..About::default() }, 7, 5, true)
    }

    #[test]
    fn frames_are_json_numbered_stamped_and_of_the_size_that_was_asked_for() {
        for shape in [Shape::Chat, Shape::Completion, Shape::Responses] {
            let mut stream = stream(shape, false);
            let opened = stream.opening(1).len() as u64;
            for n in 0..12_u64 {
                let mut out = BytesMut::new();
                stream.token(&mut out, 600, 1_000 + n);
                assert_eq!(out.len(), 600, "{shape:?}");
                let json = json(&out);
                assert_eq!(json["mock"]["seq"], opened + n);
                assert_eq!(json["mock"]["sent_ns"], format!("{:020}", 1_000 + n));
                assert_eq!(json["mock"].get("recv_ns").is_some(), opened + n == 0);
            }
        }
    }

    #[test]
    fn the_closing_chunk_carries_the_hash_of_everything_before_it() {
        for (shape, usage) in [
            (Shape::Chat, true),
            (Shape::Chat, false),
            (Shape::Completion, true),
            (Shape::Responses, false),
        ] {
            let mut stream = stream(shape, usage);
            let mut body: Vec<Bytes> = stream.opening(1);
            let mut out = BytesMut::new();
            for n in 0..3 {
                stream.token(&mut out, 0, n);
            }
            body.push(out.freeze());
            body.extend(stream.done(9));
            if shape != Shape::Responses {
                assert_eq!(body.pop().unwrap(), "data: [DONE]\n\n");
            }
            let last = body.pop().unwrap();
            let expected = hex(&Sha256::digest(body.concat()));
            assert_eq!(json(&last)["mock"]["sha256"], expected);
        }
    }

    #[test]
    fn small_frames_shed_the_api_first_and_the_stamp_last() {
        let mut stream = stream(Shape::Chat, false);
        let mut sized = |bytes| {
            let mut out = BytesMut::new();
            stream.token(&mut out, bytes, 1);
            out
        };
        sized(0);
        for bytes in [20, 40, 100, 150, 300, 1_000] {
            assert_eq!(sized(bytes).len(), bytes);
        }
        assert!(json(&sized(100))["mock"]["sent_ns"].is_string());
        assert!(json(&sized(40)).is_string());
    }
}
