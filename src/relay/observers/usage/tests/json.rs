//! Answers that were not streamed.

use super::*;

fn whole(body: &str) -> Answer {
    let answer = read(Form::Json, body, true);
    // As it is written out for people; strings here have no colons, commas or brackets of their own.
    let wide = body.replace("\":", "\" : \n").replace(",\"", " ,\r\n\t\"");
    assert_eq!(read(Form::Json, &format!("\u{feff} {wide}\n\n"), true), answer, "{body}");
    answer
}

const CHAT: &str = r#"{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":4}}"#;

#[test]
fn every_api_has_it_behind_what_it_answers() {
    for (body, wanted) in [
        (
            r#"{"id":"a","choices":[{"message":{"content":"FILL"}}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29},"system_fingerprint":"fp"}"#,
            usage(19, 0, 10),
        ),
        (
            r#"{"object":"text_completion","choices":[{"text":"FILL","finish_reason":"length"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#,
            usage(5, 0, 7),
        ),
        (
            r#"{"choices":[{"message":{"content":"FILL"}}],"created":1,"usage":{"completion_tokens":2,"prompt_tokens":9,"total_tokens":11},"id":"x","timings":{"prompt_n":9,"prompt_ms":1.5}}"#,
            usage(9, 0, 2),
        ),
        (
            r#"{"object":"list","data":[{"embedding":[0.1,-2e-3],"input":"FILL"}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
            usage(8, 0, 0),
        ),
        (r#"{"data":[{"embedding":"FILL"}],"usage":{"total_tokens":11}}"#, usage(11, 0, 0)),
        (
            r#"{"object":"response","output":[{"content":[{"text":"FILL"}]}],"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":6},"output_tokens":87,"total_tokens":123},"user":null,"metadata":{}}"#,
            usage(36, 6, 87),
        ),
        (
            r#"{"type":"message","content":[{"type":"tool_use","input":{"usage":{"input_tokens":1,"output_tokens":0},"a":"FILL"}}],"usage":{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":40}}"#,
            usage(60, 30, 40),
        ),
        (
            r#"{"created":1,"data":[{"b64_json":"FILL"}],"usage":{"input_tokens":50,"output_tokens":1056,"total_tokens":1106,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#,
            usage(50, 0, 1056),
        ),
        (r#"{"text":"FILL","usage":{"type":"duration","seconds":3}}"#, unknown(NoUsage::Absent)),
        (r#"{"choices":[{"message":{"content":"FILL"}}]}"#, unknown(NoUsage::Absent)),
        (r#"{"status":"queued","note":"FILL","usage":null,"user":null}"#, unknown(NoUsage::Absent)),
    ] {
        for bytes in [0, 2_000, 9_000, 30_000] {
            let is_long = bytes > 8_000 && wanted == unknown(NoUsage::Absent);
            let wanted = if is_long { unknown(NoUsage::TooLarge) } else { wanted };
            assert_eq!(whole(&body.replace("FILL", &"g".repeat(bytes))), wanted, "{body}");
        }
    }
}

#[test]
fn one_before_the_choices_is_read_however_long_those_are() {
    for body in [
        r#"{"id":"cmpl-1","model":"mistral","usage":USAGE,"choices":[{"message":{"content":"FILL"}}]}"#,
        r#"{"usage":USAGE,"citations":["FILL"],"choices":[{"usage":{"prompt_tokens":1}}]}"#,
    ] {
        let body = body.replace("USAGE", CHAT);
        for bytes in [0, 1_900, 9_000, 30_000] {
            let body = body.replace("FILL", &"g".repeat(bytes));
            assert_eq!(whole(&body), usage(19, 4, 10), "{body}");
            // It was counted before the client left.
            let half = &body[..body.len().min(body.len() / 2 + 150)];
            assert_eq!(read(Form::Json, half, false), usage(19, 4, 10));
        }
    }
}

#[test]
fn output_counts_what_a_model_thought_also_where_it_is_left_out() {
    let xai = r#"{"usage":{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}}"#;
    assert_eq!(whole(xai), usage(32, 0, 103));
    let less = r#"{"usage":{"prompt_tokens":32,"completion_tokens":9,"total_tokens":1}}"#;
    assert_eq!(whole(less), usage(32, 0, 9), "a total that is no sum changes nothing");
}

#[test]
fn vendors_words_for_what_was_cached_are_known() {
    for (body, cached) in [
        (
            r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":1}"#,
            8,
        ),
        (r#"{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"cached_tokens":7}"#, 7),
        (
            r#"{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"cache_read_input_tokens":6}"#,
            6,
        ),
        (r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":null}"#, 0),
        (
            r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":null}}"#,
            0,
        ),
        (
            r#"{"prompt_tokens":9,"completion_tokens":1,"input_tokens":0,"output_tokens":0,"input_tokens_details":null}"#,
            0,
        ),
    ] {
        assert_eq!(whole(&format!("{{\"usage\":{body}}}")), usage(9, cached, 1), "{body}");
    }
}

#[test]
fn the_last_of_two_counts_whether_members_or_counts() {
    let two = format!(r#"{{"usage":{{"prompt_tokens":1,"completion_tokens":1}},"usage":{CHAT}}}"#);
    assert_eq!(whole(&two), usage(19, 4, 10));
    let twice = r#"{"usage":{"prompt_tokens":1,"prompt_tokens":3,"completion_tokens":1,"completion_tokens":4}}"#;
    assert_eq!(whole(twice), usage(3, 0, 4));
}

#[test]
fn a_list_of_answers_has_none_of_its_own() {
    let list = format!(r#"{{"object":"list","data":[{{"usage":{CHAT}}},{{"usage":{CHAT}}}]}}"#);
    assert_eq!(whole(&list), unknown(NoUsage::Absent));
    assert_eq!(whole(&format!("[{{\"usage\":{CHAT}}}]")), unknown(NoUsage::Absent));
    let long = list.replace("\"list\"", &format!("\"{}\"", "g".repeat(30_000)));
    assert_eq!(whole(&long), unknown(NoUsage::TooLarge));
}
