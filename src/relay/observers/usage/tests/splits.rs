//! Any body, split anywhere, reads the same; and no bytes make it panic.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Pieces that bodies are made of here, right and wrong ones.
fn pieces() -> impl Strategy<Value = Vec<&'static str>> {
    let piece = select(vec![
        CHAT,
        DONE,
        "\n",
        "\r",
        "\r\n",
        ": x",
        "data: ",
        "data:{",
        "event: message_delta\n",
        "{",
        "}",
        "}}\n\n",
        "[",
        "]",
        "\"",
        "\\",
        "\\\"",
        ",",
        "\"usage\":",
        "\"usage\" : {",
        "\"response\":{",
        "\"x_groq\":{",
        "\"message\":{",
        "\"prompt_tokens\":7,",
        "\"completion_tokens\":3",
        "\"input_tokens\":5,\"output_tokens\":",
        "9",
        "null",
        "data: {\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":4}}\n\n",
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":8,\"output_tokens\":1}}}\n\n",
        "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":6}}\n\n",
    ]);
    vec(piece, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_body_reads_the_same_however_it_is_split(
        pieces in pieces(),
        // Before some of it, so much that what is kept begins anywhere in it.
        filler in select(vec![0, 1_900, 5_500, 7_700, 8_192, 17_000]),
        at in 0..20_usize,
        sizes in vec(1..3_000_usize, 1..30),
        unread in 0..200_usize,
        is_whole: bool,
        form in select(vec![Form::Json, Form::Events]),
    ) {
        let at = at.min(pieces.len());
        let body = pieces[..at].concat() + &"x".repeat(filler) + &pieces[at..].concat();
        let body = body.as_bytes();
        let whole = in_chunks(form, body, body.len().max(1), is_whole);
        let mut reader = UsageReader::of(form).unwrap();
        let (mut rest, unread) = body.split_at(body.len().saturating_sub(unread));
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, behind) = rest.split_at(rest.len().min(*size));
            reader.chunk(chunk);
            rest = behind;
        }
        prop_assert_eq!(reader.usage(unread, is_whole), whole);
    }

    #[test]
    fn any_bytes_are_taken(body in vec(any::<u8>(), 0..20_000), form in select(vec![Form::Json, Form::Events])) {
        let _any = in_chunks(form, &body, 1_000, true);
    }

    /// Against a reader that parses all of it: a chat's stream whose last usage is anywhere, among anything.
    #[test]
    fn it_reads_what_a_parser_of_json_does(
        texts in vec(".{0,40}", 0..40),
        counts in vec((0..100_000_u64, 0..100_000_u64), 1..4),
        wide: bool,
    ) {
        let mut events = String::new();
        for text in &texts {
            let text = serde_json::to_string(text).unwrap();
            let _ = write!(events, "data: {{\"choices\":[{{\"delta\":{{\"content\":{text}}}}}]}}\n\n");
        }
        for (input, output) in &counts {
            let text = serde_json::json!({
                "choices": [{ "delta": { "content": texts.first() } }],
                "usage": { "prompt_tokens": input + 1, "completion_tokens": output },
                "texts": texts,
            });
            events += "data: ";
            events += &text.to_string().replace(',', if wide { " , " } else { "," });
            events += "\n\n";
        }
        // A comma within a text is no different there.
        let (input, output) = counts[counts.len() - 1];
        prop_assert_eq!(in_chunks(Form::Events, events.as_bytes(), 333, true), usage(input + 1, 0, output));
    }
}
