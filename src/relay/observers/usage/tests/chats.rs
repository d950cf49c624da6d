//! Streams of chats and completions.

use std::fmt::Write as _;

use super::*;

/// As `OpenAI` writes it.
const OPENAI: &str = r#"{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":64,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#;

#[test]
fn the_last_chunk_of_a_chat_has_it_without_choices() {
    for behind in ["", "\n\n", DONE, "data: [DONE]", "data: [DONE]\n\n: bye\n\n"] {
        let last = format!(r#"data: {{"id":"chatcmpl-1","choices":[],"usage":{OPENAI}}}"#);
        for before in BEFORE {
            let events = format!("{last}\n\n{behind}");
            assert_eq!(stream_behind(before, &events), usage(2006, 1920, 300), "{behind:?}");
        }
        // Where the stream ends right behind it, its end of line may be missing.
        assert_eq!(stream_behind(0, &last), usage(2006, 1920, 300));
    }
}

#[test]
fn it_may_stand_beside_choices_anywhere_in_the_chunk() {
    for chunk in [
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":USAGE}"#,
        r#"{"usage":USAGE,"choices":[{"delta":{"content":"a \"usage\":{} }}"}}],"object":"x"}"#,
        r#"{ "usage" : USAGE , "citations":["http://[::1]/{"], "choices":[{"delta":{}}] }"#,
        r#"{"choices":[],"usage":USAGE,"x_groq":{"id":"req_1","seed":3},"service_tier":"a"}"#,
    ] {
        let events = format!("data: {}\n\n{DONE}", chunk.replace("USAGE", OPENAI));
        for before in BEFORE {
            assert_eq!(stream_behind(before, &events), usage(2006, 1920, 300), "{chunk}");
        }
    }
}

#[test]
fn groqs_own_is_read() {
    let own = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"req_1","usage":{"queue_time":0.01,"prompt_tokens":20,"prompt_time":0.002,"completion_tokens":9,"completion_time":0.07,"total_tokens":29,"total_time":0.072}}}"#;
    for before in BEFORE {
        assert_eq!(stream_behind(before, &format!("{own}\n\n{DONE}")), usage(20, 0, 9));
    }
}

#[test]
fn of_one_in_every_chunk_the_last_counts() {
    let mut events = String::new();
    for tokens in 0..200 {
        let _ = write!(
            events,
            r#"data: {{"choices":[{{"delta":{{"content":"x"}}}}],"usage":{{"prompt_tokens":7,"total_tokens":{},"completion_tokens":{tokens}}}}}"#,
            7 + tokens
        );
        events += "\n\n";
        if tokens % 50 == 0 {
            // A client that left here got so many.
            assert_eq!(read(Form::Events, &events, false), usage(7, 0, tokens));
            let cut = &events[..events.len() - 5];
            let before = if tokens == 0 { unknown(NoUsage::Cut) } else { usage(7, 0, tokens - 1) };
            assert_eq!(read(Form::Events, cut, false), before);
        }
    }
    assert_eq!(stream(&(events + DONE)), usage(7, 0, 199));
}

#[test]
fn null_and_an_object_without_tokens_are_none() {
    for none in ["null", "{}", r#"{"type":"duration","seconds":3.5}"#, "7", "\"\"", "[]"] {
        for before in BEFORE {
            let events = format!("data: {{\"choices\":[],\"usage\":{none}}}\n\n{DONE}");
            assert_eq!(stream_behind(before, &events), unknown(NoUsage::Absent), "{none}");
            let earlier = format!("data: {{\"choices\":[],\"usage\":{OPENAI}}}\n\n{events}");
            assert_eq!(stream_behind(before, &earlier), usage(2006, 1920, 300), "{none}");
        }
    }
}

#[test]
fn what_a_model_says_is_none_wherever_what_is_kept_begins() {
    for filler in 0..600 {
        let content = format!(
            "{}{}",
            "x".repeat(filler),
            &CHAT[6..CHAT.len() - 2].replace('\\', "\\\\").replace('"', "\\\"")
        );
        let chunk =
            format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{content}\"}}}}]}}\n\n");
        let events = chunk.repeat(20_000 / chunk.len());
        assert_eq!(in_chunks(Form::Events, events.as_bytes(), 900, true), unknown(NoUsage::Absent));
    }
}

#[test]
fn a_key_by_that_name_elsewhere_is_none() {
    for chunk in [
        r#"{"choices":[{"usage":{"prompt_tokens":1,"completion_tokens":1}}]}"#,
        r#"{"choices":[],"timings":{"usage":{"prompt_tokens":1,"completion_tokens":1}}}"#,
        r#"{"tools":[{"parameters":{"usage":{"prompt_tokens":1,"completion_tokens":1}}}]}"#,
        r#"{"choices":[],"my\"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"{"usage":"usage","a":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"["usage",{"prompt_tokens":1,"completion_tokens":1}]"#,
    ] {
        assert_eq!(
            stream(&format!("data: {chunk}\n\n{DONE}")),
            unknown(NoUsage::Absent),
            "{chunk}"
        );
    }
    let comment = r#": {"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    assert_eq!(stream(&format!("{CHAT}{comment}\n\n")), unknown(NoUsage::Absent));
}

#[test]
fn a_stream_that_was_cut_before_it_says_so() {
    for before in BEFORE {
        let events = CHAT.repeat(before / CHAT.len() + 1);
        assert_eq!(read(Form::Events, &events, false), unknown(NoUsage::Cut));
        let cut = format!("{events}data: {{\"choices\":[],\"usage\":{OPENAI}");
        assert_eq!(read(Form::Events, &cut, false), unknown(NoUsage::Cut));
    }
    assert_eq!(read(Form::Events, "", true), unknown(NoUsage::Absent));
}
