//! Where the last `usage` of a body stands.
//!
//! Why a model can't write one: what it says stands in strings, where quotes are escaped. `"usage"` with no
//! backslash before its quotes is a string of its own, wherever the text that is searched begins, and with a colon
//! behind it is a key. Why no other key is taken for it: from the object's end to the end of the event, or of the
//! JSON, as many brackets are closed as there are around it. One is a member of the outermost object, two are a
//! member of one of the objects in it, whose key is read where it is kept. Model and client have objects of their
//! own in an answer (arguments of tools, schemas, metadata), and all of those are deeper.

use super::super::done::{after_key, field, is_done};
use super::counts::{Counts, Sum};
use super::json;
use crate::record::Usage;

/// Objects by that name that are read at most, one after the other from the end. A body has one or two; what is
/// made to have thousands shall not cost a worker milliseconds.
const MOST_OBJECTS: usize = 32;

/// Events that are looked at, from the end: usage is in the last or the one before, and some send pings and prices
/// of their own behind it.
const MOST_EVENTS: usize = 8;

const KEY: &[u8] = b"\"usage\"";

/// How a body is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// JSON, one value.
    Json,
    /// Events, each with JSON in one line.
    Events,
}

/// Where the text that is searched begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Front {
    /// Where the body, or a line of it, begins.
    Whole,
    /// Somewhere in it; more is kept.
    More,
    /// Somewhere in it; what comes before is gone.
    Cut,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// None in this text, and it may be in what comes before it.
    Beyond,
    /// Of an answer that begins, Anthropic's.
    Start(Usage),
    /// Of the answer alone: what the request took was said at its beginning.
    Output(u64),
    Usage(Usage),
    /// The last is no count of tokens, or there are too many to look at.
    Unreadable,
}

/// The last in a text that reaches to the body's end.
pub(super) fn last(text: &[u8], shape: Shape, front: Front) -> Found {
    let mut search = Search { shape, objects: 0 };
    if shape == Shape::Json {
        let found = search.json(without_bom(text), front == Front::Whole);
        let is_all = front == Front::Whole || found != Found::Nothing;
        return if is_all { found } else { Found::Beyond };
    }
    let (mut rest, mut events) = (text, 0);
    while events < MOST_EVENTS {
        while let [before @ .., b'\n' | b'\r'] = rest {
            rest = before;
        }
        let end = memchr::memrchr2(b'\n', b'\r', rest);
        let line = &rest[end.map_or(0, |end| end + 1)..];
        let data = match (end, front) {
            (None, Front::More | Front::Cut) => break,
            (None, Front::Whole) => field(without_bom(line), b"data"),
            (Some(_), _) => field(line, b"data"),
        };
        if let Some(data) = data.filter(|data| !is_done(data)) {
            events += 1;
            let found = search.json(data, true);
            if found != Found::Nothing {
                return found;
            }
        }
        let Some(end) = end else { return Found::Nothing };
        rest = &rest[..end];
    }
    if events == MOST_EVENTS || front == Front::More {
        return if events == MOST_EVENTS { Found::Nothing } else { Found::Beyond };
    }
    // A line that begins before the text, which no more is kept of.
    match search.json(rest, false) {
        Found::Nothing if events == 0 => Found::Beyond,
        found => found,
    }
}

/// Of a stream that Anthropic's API began: the usage in its first event, which must be whole.
pub(super) fn start(head: &[u8]) -> Option<Usage> {
    let mut rest = without_bom(head);
    loop {
        let end = memchr::memchr2(b'\n', b'\r', rest)?;
        if let Some(data) = field(&rest[..end], b"data") {
            let mut search = Search { shape: Shape::Events, objects: 0 };
            return match search.json(data, true) {
                Found::Start(usage) => Some(usage),
                _ => None,
            };
        }
        rest = &rest[end + 1..];
    }
}

/// Of JSON whose end is not here: a member of the outermost object, such as Mistral's and Perplexity's before the
/// choices.
pub(super) fn front(head: &[u8]) -> Found {
    let mut rest = head;
    while let Some(at) = last_key(rest) {
        rest = &head[..at];
        let value = after_key(&head[at..], KEY).unwrap_or_default();
        // What is no object of its own, or reaches beyond the head, is not read.
        let Some((counts, _)) = value.starts_with(b"{").then(|| Counts::read(value)).flatten()
        else {
            continue;
        };
        if json::depth(rest) == Some(1) {
            return found(&counts);
        }
    }
    Found::Nothing
}

/// Where the last of them is. It is looked for by a letter that other text has seldom.
fn last_key(text: &[u8]) -> Option<usize> {
    let mut end = text.len();
    loop {
        end = memchr::memrchr(b'g', &text[..end])?;
        let at = end.checked_sub(4)?;
        if text[at..].starts_with(KEY) {
            return Some(at);
        }
    }
}

/// A look at one body.
struct Search {
    shape: Shape,
    /// Objects by that name that were read.
    objects: usize,
}

impl Search {
    /// The last one in JSON that ends with this text, and begins with it or before.
    fn json(&mut self, json: &[u8], begins: bool) -> Found {
        let mut rest = json;
        while let Some(at) = last_key(rest) {
            rest = &json[..at];
            // Of a key at the front of a text that was cut the backslash may be gone.
            if at == 0 || rest.ends_with(b"\\") {
                continue;
            }
            let value = after_key(&json[at..], KEY).filter(|value| value.starts_with(b"{"));
            let Some(value) = value else { continue };
            self.objects += 1;
            if self.objects > MOST_OBJECTS {
                return Found::Unreadable;
            }
            let found = self.object(begins.then_some(rest), value);
            if found != Found::Nothing {
                return found;
            }
        }
        Found::Nothing
    }

    /// The object at the front of `value`, which is followed by the rest of the JSON. `before`: all of that up to
    /// its key, where it is here.
    fn object(&self, before: Option<&[u8]>, value: &[u8]) -> Found {
        let Some((counts, end)) = Counts::read(value) else { return Found::Nothing };
        match (json::depth(&value[end..]), before) {
            (Some(-1), _) => found(&counts),
            (Some(-2), Some(before)) => match (json::parent(before), self.shape) {
                (Some(b"response" | b"x_groq"), _) => found(&counts),
                (Some(b"message"), Shape::Events) => start_of(&counts),
                _ => Found::Nothing,
            },
            // Of an event that begins before all that is kept the parent is not known. The one API whose events
            // are so large and have it there has words of its own.
            (Some(-2), None) if self.shape == Shape::Events && counts.is_of_responses() => {
                found(&counts)
            }
            // Its JSON is not closed at its end, and so was cut; or it stands deeper.
            _ => Found::Nothing,
        }
    }
}

fn start_of(counts: &Counts) -> Found {
    match counts.sum() {
        Sum::Usage(usage) => Found::Start(usage),
        Sum::Output(output) => Found::Start(Usage { output, ..Usage::default() }),
        Sum::Nothing => Found::Nothing,
        Sum::Invalid => Found::Unreadable,
    }
}

fn found(counts: &Counts) -> Found {
    match counts.sum() {
        Sum::Nothing => Found::Nothing,
        Sum::Output(output) => Found::Output(output),
        Sum::Usage(usage) => Found::Usage(usage),
        Sum::Invalid => Found::Unreadable,
    }
}

/// A byte order mark may stand before the first line.
fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}
