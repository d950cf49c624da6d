//! Streams of the Responses API, of images, speech and transcripts: the last event repeats all of the answer.

use super::*;

const USAGE: &str = r#"{"input_tokens":36,"input_tokens_details":{"cached_tokens":8},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123}"#;

/// An event of this type whose answer has so many bytes.
fn event(name: &str, bytes: usize, behind: &str) -> String {
    let text = r#"\"usage\":{\"input_tokens\":1} "#.repeat(bytes / 30);
    format!(
        r#"event: {name}
data: {{"type":"{name}","sequence_number":9,"response":{{"id":"resp_1","output":[{{"content":[{{"text":"{text}"}}]}}],"tools":[{{"type":"function","parameters":{{"properties":{{"usage":{{"input_tokens":5,"output_tokens":5}}}}}}}}],"usage":{USAGE}{behind}}}}}

"#
    )
}

const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"usage\":null,\"metadata\":{}}}\n\n";

#[test]
fn the_last_event_of_a_response_has_it_however_large_that_is() {
    for name in ["response.completed", "response.incomplete", "response.failed"] {
        for bytes in [0, 3_000, 5_700, 6_500, 100_000, 1 << 20] {
            for behind in ["", r#","user":null,"metadata":{}"#] {
                let events = format!("{CREATED}{}", event(name, bytes, behind));
                let answer = match bytes {
                    0 => stream(&events),
                    _ => in_chunks(Form::Events, events.as_bytes(), 8_192, true),
                };
                assert_eq!(answer, usage(36, 8, 87), "{name} of {bytes} bytes");
            }
        }
    }
}

#[test]
fn five_kilobytes_of_metadata_may_stand_behind_it() {
    let pairs: Vec<String> =
        (0..8).map(|at| format!("\"{at:064}\":\"{}\"", "m".repeat(512))).collect();
    let behind = format!(",\"user\":\"u\",\"metadata\":{{{}}}", pairs.join(","));
    for bytes in [0, 100_000] {
        let events = format!("{CREATED}{}", event("response.completed", bytes, &behind));
        assert_eq!(read(Form::Events, &events, true), usage(36, 8, 87));
    }
    // More than that is out of reach, and is said to be.
    let behind = format!(",\"metadata\":{{\"a\":\"{}\"}}", "m".repeat(10_000));
    let events = format!("{CREATED}{}", event("response.completed", 0, &behind));
    assert_eq!(read(Form::Events, &events, true), unknown(NoUsage::TooLarge));
}

#[test]
fn an_object_of_the_clients_or_the_models_is_not_taken_for_it() {
    for behind in [
        r#","text":{"format":{"schema":{"usage":{"input_tokens":1,"output_tokens":1}}}}"#,
        r#","prompt":{"variables":{"usage":{"input_tokens":1,"output_tokens":1}}}"#,
        r#","x":{"usage":{"input_tokens":1,"output_tokens":1}}"#,
    ] {
        for bytes in [0, 100_000] {
            let events = event("response.completed", bytes, behind);
            assert_eq!(read(Form::Events, &events, true), usage(36, 8, 87), "{behind}");
        }
    }
}

#[test]
fn small_events_behind_a_large_one_do_not_hide_it() {
    let behind = format!(",\"metadata\":{{\"a\":\"{}\"}}", "m".repeat(2_000));
    let large = event("response.completed", 60_000, &behind);
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    for filler in (0..8_000).step_by(133) {
        let events = format!(": {}\n\n{large}{ping}{ping}", "x".repeat(filler));
        for size in [100, 8_192] {
            assert_eq!(in_chunks(Form::Events, events.as_bytes(), size, true), usage(36, 8, 87));
        }
    }
}

#[test]
fn a_response_that_was_cut_has_none() {
    let events = format!("{CREATED}{}", event("response.completed", 50_000, ""));
    for cut in [CREATED.len(), events.len() / 2, events.len() - 5] {
        assert_eq!(read(Form::Events, &events[..cut], false), unknown(NoUsage::Cut));
    }
}

#[test]
fn images_speech_and_transcripts_have_it_at_the_top() {
    for (name, filler) in [
        ("image_generation.completed", 400_000),
        ("image_edit.completed", 0),
        ("speech.audio.done", 0),
        ("transcript.text.done", 3_000),
    ] {
        let filler = "Ag8".repeat(filler / 3);
        let event = format!(
            "event: {name}\ndata: {{\"type\":\"{name}\",\"b64_json\":\"{filler}\",\"usage\":{USAGE}}}\n\n"
        );
        assert_eq!(read(Form::Events, &event, true), usage(36, 8, 87), "{name}");
    }
}

#[test]
fn the_last_of_an_assistants_run_counts() {
    let step = "event: thread.run.step.completed\ndata: {\"id\":\"step_1\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}\n\n";
    let run = "event: thread.run.completed\ndata: {\"id\":\"run_1\",\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":11,\"total_tokens\":31},\"temperature\":1.0}\n\n";
    let done = "event: done\ndata: [DONE]\n\n";
    assert_eq!(stream(&format!("{step}{run}{done}")), usage(20, 0, 11));
}
