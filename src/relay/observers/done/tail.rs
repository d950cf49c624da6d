//! The last bytes of a stream, and whether they say that it is complete.

use super::types::{after_key, field, is_done, is_last, text_value};

/// Bytes that are kept: what follows a `finish_reason` in its own event, an event of usage with all its details, and
/// some comments. A power of two.
const KEPT: usize = 1024;

/// Keeps the end of a stream.
pub trait Keeps {
    /// The next bytes of the stream.
    fn push(&mut self, bytes: &[u8]);

    /// The last 1,024 bytes that went by, or all of them where there were fewer.
    fn last(&self) -> Last<'_>;
}

/// The end of a stream, in two parts: at most 1,024 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Last<'a> {
    /// What came first; may be empty.
    pub older: &'a [u8],
    /// What came right behind it.
    pub newer: &'a [u8],
    /// Nothing came before; then nothing is in `older`.
    pub is_whole: bool,
}

/// The last bytes that went by, and no more than that.
#[derive(Debug, Clone)]
pub struct Tail {
    ring: [u8; KEPT],
    /// How many went by, in all.
    seen: usize,
}

/// What a line says of the stream's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// It has come.
    Done,
    /// It has not.
    More,
    /// Neither.
    Nothing,
}

/// What stands before the first line of a text.
#[derive(Debug, Clone, Copy)]
enum Front {
    /// Nothing: the stream begins there.
    Stream,
    /// More of the same line, perhaps, which is kept elsewhere.
    More,
    /// The same, which is not kept. How the line begins is not known: it may be what a model says.
    Cut,
}

impl Default for Tail {
    fn default() -> Self {
        Self { ring: [0; KEPT], seen: 0 }
    }
}

impl Keeps for Tail {
    /// Costs no more than a copy of what is kept, whatever comes.
    fn push(&mut self, bytes: &[u8]) {
        let skipped = bytes.len().saturating_sub(KEPT);
        let (bytes, at) = (&bytes[skipped..], (self.seen + skipped) % KEPT);
        self.seen += skipped + bytes.len();
        let (first, second) = bytes.split_at(bytes.len().min(KEPT - at));
        self.ring[at..at + first.len()].copy_from_slice(first);
        if !second.is_empty() {
            self.ring[..second.len()].copy_from_slice(second);
        }
    }

    fn last(&self) -> Last<'_> {
        let (newer, older) = self.ring.split_at(self.seen % KEPT);
        let is_whole = self.seen < KEPT;
        Last { older: if is_whole { &[] } else { older }, newer, is_whole }
    }
}

impl Last<'_> {
    /// As many bytes as there may be.
    pub const MOST: usize = KEPT;

    /// The last line that says anything of it says that the stream is complete.
    pub(super) fn is_done(self) -> bool {
        let Self { older, newer, is_whole } = self;
        if is_whole {
            return last_words(newer, Front::Stream) == Some(Says::Done);
        }
        // Nearly always it is among these.
        let says = last_words(newer, Front::More).unwrap_or_else(|| {
            let mut text = [0; KEPT];
            text[..older.len()].copy_from_slice(older);
            text[older.len()..][..newer.len()].copy_from_slice(newer);
            let text = &text[..older.len() + newer.len()];
            last_words(text, Front::Cut).unwrap_or(Says::Nothing)
        });
        says == Says::Done
    }
}

impl Last<'_> {
    /// What comes next begins an event: the last line is empty, or a comment behind such a line. A last CR may be
    /// the first half of a line's end, and nothing may come between the two.
    pub(in super::super) fn is_between_events(self) -> bool {
        let Self { older, newer, is_whole } = self;
        let mut text = [0; KEPT];
        text[..older.len()].copy_from_slice(older);
        text[older.len()..][..newer.len()].copy_from_slice(newer);
        let mut rest = &text[..older.len() + newer.len()];
        while let [before @ .., b'\n'] = rest {
            let before = before.strip_suffix(b"\r").unwrap_or(before);
            let begin = memchr::memrchr2(b'\n', b'\r', before).map_or(0, |end| end + 1);
            let is_known = begin > 0 || is_whole;
            match before.get(begin) {
                None => return is_known,
                Some(b':') if is_known => rest = &before[..begin],
                Some(_) => return false,
            }
        }
        rest.is_empty() && is_whole
    }
}

/// `None` where it may be in what comes before this text.
fn last_words(text: &[u8], front: Front) -> Option<Says> {
    let (mut rest, mut is_whole) = (text, false);
    loop {
        while let [before @ .., b'\n' | b'\r'] = rest {
            (rest, is_whole) = (before, true);
        }
        let begin = memchr::memrchr2(b'\n', b'\r', rest);
        let line = &rest[begin.map_or(0, |begin| begin + 1)..];
        let says = match (begin, front) {
            (None, Front::More) => return None,
            (None, Front::Cut) if is_whole => of_json(line),
            (None, Front::Cut) => Says::Nothing,
            (None, Front::Stream) | (Some(_), _) => of_line(line, is_whole),
        };
        match begin {
            Some(begin) if says == Says::Nothing => rest = &rest[..begin],
            _ => return Some(says),
        }
        is_whole = true;
    }
}

/// `is_whole`: its end of line is there.
fn of_line(line: &[u8], is_whole: bool) -> Says {
    match field(line, b"data") {
        // A reader may take this for an end that has no end of line, and nothing else.
        Some(data) if is_done(data) => Says::Done,
        Some(data) if is_whole => of_data(data),
        Some(_) | None => Says::Nothing,
    }
}

fn of_data(data: &[u8]) -> Says {
    if has_choices(data) {
        // One with nothing to say of its end goes on.
        let says = of_reasons(data);
        return if says == Says::Nothing { Says::More } else { says };
    }
    let error = data.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    match error.and_then(|json| after_key(json, b"\"error\"")) {
        Some(error) if !error.starts_with(b"null") => Says::Done,
        _ => of_json(data),
    }
}

/// Of JSON, or of its end. In a string quotes are escaped, so that no text which a model writes is taken for a key.
fn of_json(json: &[u8]) -> Says {
    let mut types = memchr::memchr_iter(b'y', json)
        .filter_map(|at| text_value(after_key(json.get(at.checked_sub(2)?..)?, b"\"type\"")?));
    if types.any(is_last) { Says::Done } else { of_reasons(json) }
}

/// The same of what says why choices are complete: each of a chunk has one.
fn of_reasons(json: &[u8]) -> Says {
    let mut says = Says::Nothing;
    // A letter that other text has seldom.
    for at in memchr::memchr_iter(b'f', json) {
        let key = at.checked_sub(1).and_then(|at| reason(&json[at..]));
        let Some(value) = key else { continue };
        if text_value(value).is_none_or(<[u8]>::is_empty) {
            return Says::More;
        }
        says = Says::Done;
    }
    says
}

/// Why a choice is complete, or `null`; the second is Gemini's own.
fn reason(json: &[u8]) -> Option<&[u8]> {
    after_key(json, b"\"finish_reason\"").or_else(|| after_key(json, b"\"finishReason\""))
}

/// A chunk of a chat, and not one of usage alone.
fn has_choices(json: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b'[', json) else { return false };
    let key = json[..at].trim_ascii_end();
    key.ends_with(b"\"choices\":") && json[at + 1..].trim_ascii_start().starts_with(b"{")
}
