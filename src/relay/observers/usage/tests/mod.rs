//! Usage as every API says it, and what is none.

mod anthropic;
mod bounds;
mod chats;
mod hostile;
mod json;
mod responses;
mod splits;

use super::*;

type Answer = Result<Usage, Unknown>;

#[expect(clippy::unnecessary_wraps, reason = "it is what is compared with")]
fn usage(input: u64, cached: u64, output: u64) -> Answer {
    Ok(Usage { input, cached, output })
}

fn unknown(why: NoUsage) -> Answer {
    Err(Unknown::because(why))
}

/// What is read of a body that went by in chunks of this size.
fn in_chunks(form: Form, body: &[u8], size: usize, is_whole: bool) -> Answer {
    let mut reader = UsageReader::of(form).unwrap();
    body.chunks(size).for_each(|chunk| reader.chunk(chunk));
    reader.usage(b"", is_whole)
}

/// The same, however it is split and wherever its last part was left unread.
fn read(form: Form, body: &str, is_whole: bool) -> Answer {
    let body = body.as_bytes();
    let whole = in_chunks(form, body, body.len().max(1), is_whole);
    for size in [1, 2, 3, 77, 1_000, 6_144, 16_384] {
        if size > 3 || body.len() < 6_000 {
            assert_eq!(in_chunks(form, body, size, is_whole), whole, "in chunks of {size}");
        }
    }
    for read in [0, body.len() / 2, body.len().saturating_sub(9)] {
        let mut reader = UsageReader::of(form).unwrap();
        reader.chunk(&body[..read]);
        assert_eq!(reader.usage(&body[read..], is_whole), whole, "the rest of {read} unread");
    }
    whole
}

/// Of a stream, with every end of line.
fn stream(events: &str) -> Answer {
    let answer = read(Form::Events, events, true);
    for line_end in ["\r\n", "\r"] {
        let events = events.replace('\n', line_end);
        assert_eq!(read(Form::Events, &events, true), answer, "lines end by {line_end:?}");
    }
    answer
}

/// The same stream behind as many bytes of chat.
fn stream_behind(bytes: usize, events: &str) -> Answer {
    let mut before = String::new();
    while before.len() < bytes {
        before += CHAT;
    }
    stream(&(before + events))
}

/// Where the events begin in what is kept must not matter: from nothing before them to more than is kept.
const BEFORE: [usize; 5] = [0, 1_500, 6_000, 8_000, 30_000];

/// A chunk of a chat, in which the model says what usage looks like.
const CHAT: &str = concat!(
    r#"data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"\"usage\":{\"prompt_tokens\":1,"#,
    r#"\"completion_tokens\":1,\"total_tokens\":2}}\n\ndata: {\"usage\":{\"prompt_tokens\":1}}\n\n"},"#,
    r#""finish_reason":null}],"usage":null}"#,
    "\n\n"
);

const DONE: &str = "data: [DONE]\n\n";
