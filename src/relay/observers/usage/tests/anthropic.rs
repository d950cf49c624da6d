//! Streams of Anthropic's Messages: what the request took is said at the start, the rest at the end.

use super::*;

fn start(usage: &str) -> String {
    format!(
        "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"id\":\"msg_1\",\"content\":[],\"usage\":{usage}}}}}\n\n"
    )
}

fn text(bytes: usize) -> String {
    let delta = concat!(
        "event: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"usage\":{\"output_tokens\":1}}"}}"#,
        "\n\n"
    );
    delta.repeat(bytes / delta.len())
}

fn delta(usage: &str) -> String {
    format!(
        "event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\"}},\"usage\":{usage}}}\n\n"
    )
}

const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

const START: &str = r#"{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":0},"output_tokens":1,"service_tier":"standard"}"#;

#[test]
fn the_start_and_the_last_delta_make_one_usage() {
    for bytes in [0, 1_000, 6_500, 8_192, 30_000] {
        let events = |last: &str| format!("{}{}{}{STOP}", start(START), text(bytes), delta(last));
        // Its caches are beside its input.
        assert_eq!(stream(&events(r#"{"output_tokens":15}"#)), usage(1125, 1000, 15));
        let cumulative = r#"{"input_tokens":30,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"output_tokens":15}"#;
        assert_eq!(
            stream(&events(cumulative)),
            usage(1130, 1000, 15),
            "a tool of its own searched"
        );
        let zeros = r#"{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":15}"#;
        assert_eq!(stream(&events(zeros)), usage(1125, 1000, 15));
        // Of another vendor's: all as input at the start, and what the cache had of it at the end.
        let split = r#"{"input_tokens":25,"output_tokens":426,"cache_creation_input_tokens":0,"cache_read_input_tokens":1100}"#;
        assert_eq!(stream(&events(split)), usage(1125, 1100, 426));
    }
}

#[test]
fn of_several_deltas_the_last_counts() {
    let (one, two) = (delta(r#"{"output_tokens":5}"#), delta(r#"{"output_tokens":8}"#));
    let events =
        format!("{}{one}event: ping\ndata: {{\"type\": \"ping\"}}\n\n{two}{STOP}", start(START));
    assert_eq!(stream(&events), usage(1125, 1000, 8));
}

#[test]
fn events_without_names_and_comments_before_the_start_are_read_too() {
    let events = format!(": hello\n\n{}{}{STOP}", start(START), delta(r#"{"output_tokens":15}"#));
    let events = events.replace("event: message_start\n", "").replace("event: message_delta\n", "");
    assert_eq!(stream(&events), usage(1125, 1000, 15));
    let events = format!("\u{feff}{}{}{STOP}", start(START), delta(r#"{"output_tokens":15}"#));
    assert_eq!(stream(&events), usage(1125, 1000, 15));
    let events = start(START).replacen("event: message_start\n", "\u{feff}", 1);
    assert_eq!(stream(&(events + &delta(r#"{"output_tokens":15}"#))), usage(1125, 1000, 15));
}

#[test]
fn a_stream_that_was_cut_took_at_least_what_was_said_at_its_start() {
    let at_least = Usage { input: 1125, cached: 1000, output: 1 };
    for bytes in [0, 1_000, 7_000, 30_000] {
        let events = format!("{}{}", start(START), text(bytes));
        let cut = Err(Unknown { why: NoUsage::Cut, at_least });
        assert_eq!(read(Form::Events, &events, false), cut);
        let cut_delta = delta(r#"{"output_tokens":15}"#);
        let half = format!("{events}{}", &cut_delta[..cut_delta.len() - 6]);
        assert_eq!(read(Form::Events, &half, false), cut);
        let error =
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"overloaded\"}}\n\n";
        let failed = Err(Unknown { why: NoUsage::Absent, at_least });
        assert_eq!(stream(&format!("{events}{error}")), failed);
    }
}

#[test]
fn without_a_start_that_is_known_only_the_answer_is() {
    let long = start(START).replace("msg_1", &"m".repeat(3_000));
    for before in [String::new(), start("null"), long + &text(20_000)] {
        let events = format!("{before}{}{STOP}", delta(r#"{"output_tokens":15}"#));
        let at_least = Usage { output: 15, ..Usage::default() };
        assert_eq!(stream(&events), Err(Unknown { why: NoUsage::Absent, at_least }));
    }
}
