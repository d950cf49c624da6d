//! Streams whose events have types: in an `event` field, or at the front of their JSON.

/// So much of a line is looked at: the longest type, behind `data: {"type": "`, and room.
const HEAD: usize = 64;

const BOM: &[u8] = "\u{feff}".as_bytes();

/// Reads how lines begin.
#[derive(Debug, Clone)]
pub(super) struct Types {
    /// Of a line that has not come whole.
    head: [u8; HEAD],
    /// How much there is of it.
    len: usize,
    /// The last line ended by CR: an LF that follows belongs to it.
    after_cr: bool,
    /// An event had a type.
    typed: bool,
    event: Event,
}

/// The event that is read.
#[derive(Debug, Clone, Copy, Default)]
struct Event {
    /// Its type is in a field of its own.
    is_named: bool,
    /// It is the last of its API.
    is_last: bool,
    /// Some line of its data is whole.
    has_data: bool,
}

/// What is known of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Open,
    /// The last event was there, with all of its data.
    Done,
    /// Its events have no types.
    Untyped,
}

impl Default for Types {
    fn default() -> Self {
        let event = Event::default();
        Self { head: [0; HEAD], len: 0, after_cr: false, typed: false, event }
    }
}

impl Types {
    /// The next bytes of the stream. To be asked no more once something is known.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Verdict {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            // Every second or third line is empty: those need no search.
            let is_empty = bytes[0] == b'\n';
            let end = if is_empty { Some(0) } else { memchr::memchr2(b'\n', b'\r', bytes) };
            let Some(end) = end else {
                self.keep(bytes);
                break;
            };
            let line = &bytes[..end];
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let verdict = if self.len == 0 { self.line(line) } else { self.kept_line(line) };
            if verdict != Verdict::Open {
                return verdict;
            }
        }
        Verdict::Open
    }

    fn keep(&mut self, part: &[u8]) {
        let room = part.len().min(HEAD - self.len);
        self.head[self.len..self.len + room].copy_from_slice(&part[..room]);
        self.len += room;
    }

    /// The rest of a line of which some was kept.
    fn kept_line(&mut self, rest: &[u8]) -> Verdict {
        self.keep(rest);
        let (head, len) = (self.head, std::mem::take(&mut self.len));
        self.line(&head[..len])
    }

    /// A whole line, or its beginning. Fields of an event come in any order, and its empty line may be missing at the
    /// end.
    fn line(&mut self, line: &[u8]) -> Verdict {
        match line.first() {
            None => self.event = Event::default(),
            Some(b'd') => {
                if let Some(data) = field(line, b"data") {
                    return self.data(data);
                }
            }
            Some(b'e') => {
                if let Some(name) = field(line, b"event") {
                    // Which is the type of events that have none.
                    self.event.is_named = name != b"message";
                    self.typed |= self.event.is_named;
                    self.event.is_last = is_last(name);
                }
            }
            // A byte order mark may stand before the first.
            Some(_) => return line.strip_prefix(BOM).map_or(Verdict::Open, |line| self.line(line)),
        }
        self.event.verdict()
    }

    fn data(&mut self, data: &[u8]) -> Verdict {
        if is_done(data) {
            return Verdict::Done;
        }
        self.event.has_data = true;
        if self.event.is_named {
            return self.event.verdict();
        }
        if let Some(name) = front_type(data) {
            self.typed = true;
            self.event.is_last |= is_last(name);
        } else if !self.typed && !data.is_empty() {
            return Verdict::Untyped;
        }
        self.event.verdict()
    }
}

impl Event {
    fn verdict(self) -> Verdict {
        if self.is_last && self.has_data { Verdict::Done } else { Verdict::Open }
    }
}

/// The value of a line's field, if it is this one.
pub(in super::super) fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// How streams of chats end, and some others.
pub(in super::super) fn is_done(data: &[u8]) -> bool {
    data.first() == Some(&b'[') && data.trim_ascii_end() == b"[DONE]"
}

/// A type after which its API sends nothing more.
pub(super) fn is_last(name: &[u8]) -> bool {
    matches!(
        name,
        // OpenAI's Responses.
        b"response.completed" | b"response.failed" | b"response.incomplete"
        // Anthropic's Messages.
        | b"message_stop"
        // Images, speech, transcripts.
        | b"image_generation.completed" | b"image_edit.completed"
        | b"speech.audio.done" | b"transcript.text.done"
        // Of any of them: SDKs raise it and close.
        | b"error"
    )
}

/// The type of an event whose JSON begins with it.
fn front_type(data: &[u8]) -> Option<&[u8]> {
    text_value(after_key(data.strip_prefix(b"{")?.trim_ascii_start(), b"\"type\"")?)
}

/// What stands behind a key and its colon.
pub(in super::super) fn after_key<'a>(json: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let rest = json.strip_prefix(key)?.trim_ascii_start();
    Some(rest.strip_prefix(b":")?.trim_ascii_start())
}

/// A string without escapes, at the front.
pub(super) fn text_value(json: &[u8]) -> Option<&[u8]> {
    let text = json.strip_prefix(b"\"")?;
    Some(&text[..memchr::memchr(b'"', text)?])
}
