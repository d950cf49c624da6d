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
const MOST_READ: usize = 32;

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
    /// It may be there: what comes before this text decides.
    Undecided,
    /// Of an answer that begins, Anthropic's.
    Start(Usage),
    /// Of the answer alone: what the request took was said at its beginning.
    Output(u64),
    Usage(Usage),
    /// The last is no count of tokens.
    Unreadable,
}

/// The last in a text that reaches to the body's end.
pub(super) fn last(text: &[u8], shape: Shape, front: Front) -> Found {
    let (mut rest, mut read) = (text, 0);
    while let Some(at) = last_key(rest) {
        rest = &text[..at];
        if at == 0 || rest.ends_with(b"\\") {
            continue;
        }
        let Some(value) = after_key(&text[at..], KEY).filter(|value| value.starts_with(b"{"))
        else {
            continue;
        };
        read += 1;
        if read > MOST_READ {
            return Found::Unreadable;
        }
        match candidate(Candidate { before: rest, value, shape, front }) {
            Found::Nothing => {}
            found => return found,
        }
    }
    Found::Nothing
}

/// Of a stream that Anthropic's API began: the usage in its first event, which must be whole.
pub(super) fn start(head: &[u8]) -> Option<Usage> {
    let mut lines = head.split(|byte| matches!(byte, b'\n' | b'\r'));
    let line = lines.find(|line| field(without_bom(line), b"data").is_some())?;
    match last(without_bom(line), Shape::Events, Front::Whole) {
        Found::Start(usage) => Some(usage),
        _ => None,
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

/// The last event, or JSON, begins before this text, which has nothing of a usage.
pub(super) fn is_out_of_reach(tail: &[u8], shape: Shape) -> bool {
    if shape == Shape::Json {
        return true;
    }
    let Some(end) = memchr::memchr2(b'\n', b'\r', tail) else { return true };
    let mut lines = tail[end + 1..].rsplit(|byte| matches!(byte, b'\n' | b'\r'));
    !lines.any(|line| field(line, b"data").is_some_and(|data| !is_done(data)))
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

/// An object behind a key of that name.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    /// The text up to the key.
    before: &'a [u8],
    /// All from the value on.
    value: &'a [u8],
    shape: Shape,
    front: Front,
}

fn candidate(candidate: Candidate<'_>) -> Found {
    let Candidate { before, mut value, shape, front } = candidate;
    if shape == Shape::Events
        && let Some(end) = memchr::memchr2(b'\n', b'\r', value)
    {
        value = &value[..end];
    }
    let Some((counts, end)) = Counts::read(value) else { return Found::Nothing };
    // Its JSON is closed at its end; otherwise it was cut, and is none.
    let Some(depth @ (-1 | -2)) = json::depth(&value[end..]) else { return Found::Nothing };
    let json = match begin(before, shape, front) {
        Begin::Here(json) => json,
        Begin::Before if front == Front::More && shape == Shape::Events => return Found::Undecided,
        Begin::Before if depth == -1 => return found(&counts),
        // Of an event that begins before all that is kept the parent is not known. The one API whose events are
        // so large and have it there has words of its own.
        Begin::Before if shape == Shape::Events && counts.is_of_responses() => {
            return found(&counts);
        }
        Begin::Before | Begin::Nowhere => return Found::Nothing,
    };
    if depth == -1 {
        return found(&counts);
    }
    match (json::parent(json), shape) {
        (Some(b"response" | b"x_groq"), _) => found(&counts),
        (Some(b"message"), Shape::Events) => match counts.sum() {
            Sum::Usage(usage) => Found::Start(usage),
            Sum::Output(output) => Found::Start(Usage { output, ..Usage::default() }),
            Sum::Nothing => Found::Nothing,
            Sum::Invalid => Found::Unreadable,
        },
        _ => Found::Nothing,
    }
}

/// Where the JSON begins that a key stands in.
enum Begin<'a> {
    /// Here: all of it up to the key.
    Here(&'a [u8]),
    /// Before the text.
    Before,
    /// It is no data of an event.
    Nowhere,
}

fn begin(before: &[u8], shape: Shape, front: Front) -> Begin<'_> {
    let line = match shape {
        Shape::Events => memchr::memrchr2(b'\n', b'\r', before).map(|end| &before[end + 1..]),
        Shape::Json => None,
    };
    let line = match (line, front) {
        (Some(line), _) => line,
        (None, Front::Whole) => without_bom(before),
        (None, Front::More | Front::Cut) => return Begin::Before,
    };
    match shape {
        Shape::Json => Begin::Here(line),
        Shape::Events => field(line, b"data").map_or(Begin::Nowhere, Begin::Here),
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
