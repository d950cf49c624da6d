use super::*;

/// What comes before an end: its JSON speaks of ends, as a model may.
const CHAT: &str = concat!(
    r#"data: {"choices":[{"delta":{"content":"data: [DONE]\n\n {\"finish_reason\":\"stop\"}"},"finish_reason":null}]}"#,
    "\n\n"
);

const TYPED: &str = concat!(
    "event: response.output_text.delta\n",
    r#"data: {"type":"response.output_text.delta","delta":"event: response.completed\ndata: {}\n\n"}"#,
    "\n\n"
);

fn after(stream: &str, size: usize) -> DoneScanner {
    let mut scanner = DoneScanner::default();
    for chunk in stream.as_bytes().chunks(size) {
        scanner.chunk(chunk);
    }
    scanner
}

/// In chunks of every size, and with every end of line.
fn assert_done(stream: &str, done: bool) {
    for line_end in ["\n", "\r\n", "\r"] {
        let stream = stream.replace('\n', line_end);
        // A long one in fewer: what matters is how its first and last lines are cut.
        let sizes = if stream.len() < 2_000 { 1..=80 } else { 77..=77 };
        for size in sizes.chain([1000, 100_000]) {
            assert_eq!(after(&stream, size).is_done(), done, "in chunks of {size}: {stream:?}");
        }
    }
}

fn typed(name: &str, bytes: usize) -> String {
    let filler = "x".repeat(bytes);
    format!("event: {name}\ndata: {{\"type\":\"{name}\",\"filler\":\"{filler}\"}}\n\n")
}

fn chat(reason: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{{}},\"finish_reason\":{reason}}}]}}\n\n")
}

const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"total_tokens\":7}}\n\n";

#[test]
fn done_is_the_end_of_any_stream() {
    for before in ["", CHAT, TYPED, ": ping\n\n", "\u{feff}id: 1\n"] {
        for done in ["data: [DONE]", "data:[DONE]", "data: [DONE] ", "event: done\ndata: [DONE]"] {
            for behind in ["", "\n", "\n\n", "\n\n: bye\n\n", "\n\nevent: ping\ndata: {}\n\n"] {
                assert_done(&format!("{before}{done}{behind}"), true);
            }
        }
        assert_done(before, false);
        assert_done(&format!("{before}data: [DON"), false);
    }
}

#[test]
fn the_last_event_of_a_typed_api_is_its_end_however_large_it_is() {
    for name in [
        "response.completed",
        "response.failed",
        "response.incomplete",
        "message_stop",
        "image_generation.completed",
        "image_edit.completed",
        "speech.audio.done",
        "transcript.text.done",
        "error",
    ] {
        for bytes in [0, 50_000] {
            let last = typed(name, bytes);
            assert_done(&format!("{TYPED}{last}"), true);
            assert_done(&format!("{TYPED}{last}: ping\n\nevent: ping\ndata: {{}}\n\n"), true);
            assert_done(&format!("{TYPED}{}", last.trim_end_matches('\n')), false);
            assert_done(&format!("{TYPED}{}\n", last.trim_end_matches('\n')), true);
        }
        let untitled = typed(name, 50_000).split_once('\n').unwrap().1.to_owned();
        assert_done(&format!("data: {{\"type\": \"other\"}}\n\n{untitled}"), true);
        // Its type is the last thing that it says, and nothing else names it.
        assert_done(&format!("data: {{\"seq\":1,\"type\":\"{name}\"}}\n\n"), true);
    }
    for name in ["response.created", "message_delta", "response.completed.not"] {
        assert_done(&format!("{TYPED}{}", typed(name, 0)), false);
    }
}

#[test]
fn an_event_named_as_one_without_a_type_is_known_by_its_json() {
    let large = typed("response.completed", 50_000);
    let (_, data) = large.split_once('\n').unwrap();
    let first = "event: message\ndata: {\"type\":\"response.created\"}\n\n";
    assert_done(&format!("{first}event: message\n{data}"), true);
    assert_done(&format!("event: message\n{CHAT}"), false);
    assert_done(&format!("event: message\n{CHAT}event: message\n{}", chat("\"stop\"")), true);
}

#[test]
fn a_type_may_stand_behind_its_data() {
    assert_done(&format!("{TYPED}data: {{}}\nevent: message_stop\n\n"), true);
    assert_done(&format!("{TYPED}event: message_stop\n\ndata: {{}}\n\n"), false);
}

#[test]
fn a_reason_to_finish_is_an_end_where_nothing_else_comes() {
    for reason in ["\"stop\"", " \"length\"", "\"tool_calls\""] {
        assert_done(&format!("{CHAT}{}", chat(reason)), true);
        assert_done(&format!("{CHAT}{}{USAGE}: ping\n\n", chat(reason)), true);
        assert_done(&format!("{CHAT}{}{CHAT}", chat(reason)), false);
    }
    let bare = "data: {\"choices\":[{\"delta\":{}}]}\n\n";
    assert_done(&format!("{CHAT}{}{bare}", chat("\"stop\"")), false);
    for reason in ["null", "\"\""] {
        assert_done(&format!("{CHAT}{}{USAGE}", chat(reason)), false);
    }
    let gemini = "data: {\"candidates\": [{\"content\": {},\"finishReason\": \"STOP\"}]}\n\n";
    assert_done(&format!("data: {{\"candidates\": []}}\n\n{gemini}"), true);
}

#[test]
fn choices_that_are_not_all_complete_are_no_end() {
    let two = "data: {\"choices\":[{\"finish_reason\":\"stop\"},{\"finish_reason\":null}]}\n\n";
    assert_done(&format!("{CHAT}{two}"), false);
    assert_done(&format!("{CHAT}{}", two.replace("null", "\"stop\"")), true);
}

#[test]
fn a_reason_in_front_of_a_long_event_is_found_while_it_is_kept() {
    let long = |bytes| {
        let filler = "t".repeat(bytes);
        format!("data: {{\"choices\":[{{\"finish_reason\":\"stop\"}}],\"t\":\"{filler}\"}}\n\n")
    };
    assert_done(&format!("{CHAT}{}", long(900)), true);
    assert_done(&format!("{CHAT}{}", long(2000)), false);
}

#[test]
fn an_error_in_a_stream_of_chats_is_an_end() {
    assert_done(&format!("{CHAT}data: {{\"error\":{{\"message\":\"overloaded\"}}}}\n\n"), true);
    assert_done(&format!("{CHAT}data: {{\"error\":null,\"choices\":[]}}\n\n"), false);
}

#[test]
fn what_a_model_says_is_no_end_wherever_the_tail_begins() {
    let text =
        r#"\n\ndata: [DONE]\n\n\"finish_reason\":\"stop\",\"type\":\"message_stop\"event: error"#;
    for filler in 0..1200 {
        let content = format!("{}{text}", "x".repeat(filler));
        let stream = format!("data: {{\"choices\":[{{\"delta\":\"{content}\"}}]}}\n\n");
        assert!(!after(&stream, 64).is_done(), "{filler}");
    }
}

#[test]
fn what_comes_next_begins_an_event_behind_an_empty_line_and_comments() {
    for (stream, between) in [
        ("", true),
        ("\n", true),
        (": hi\n", true),
        ("data: a\n\n", true),
        ("data: a\n\n: hi\n", true),
        ("data: a\r\n\r\n: hi\r\n: ho\n", true),
        ("data: a\r\r\n", true),
        ("data: a\n\r\n", true),
        ("data: a", false),
        ("data: a\n", false),
        ("data: a\r\n", false),
        ("data: a\n: hi\n", false),
        ("data: a\n\n: hi", false),
        ("data: a\n\ndata: b\n", false),
        // LF may follow.
        ("data: a\r\n\r", false),
        ("data: a\r\r", false),
        ("\r", false),
        // Its line goes on.
        ("\u{feff}", false),
    ] {
        for filler in ["", CHAT] {
            let stream = filler.repeat(10) + stream;
            for size in [1, 3, 77, 100_000] {
                let scanner = after(&stream, size);
                assert_eq!(scanner.tail().last().is_between_events(), between, "{stream:?}");
            }
        }
    }
    // It began before what is kept.
    let line = format!("data: {}\n", ":".repeat(2_000));
    assert!(!after(&line, 100_000).tail().last().is_between_events());
    assert!(!after(&format!("data: a\n\n{}", &line[6..]), 7).tail().last().is_between_events());
}
