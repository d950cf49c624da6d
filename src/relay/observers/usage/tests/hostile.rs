//! What is no usage, though it looks like one, and bodies that are made to cost.

use super::*;

#[test]
fn what_is_no_count_makes_no_usage() {
    for count in [
        "-1",
        "1.0",
        "1e3",
        "1.5",
        "\"12\"",
        "true",
        "[1]",
        "{\"a\":1}",
        "0x10",
        "+1",
        "1099511627777",
        "18446744073709551616",
        "99999999999999999999999999999999999999999",
        "NaN",
        "1 2",
    ] {
        for body in [
            format!("{{\"prompt_tokens\":{count},\"completion_tokens\":1}}"),
            format!("{{\"prompt_tokens\":1,\"completion_tokens\":{count}}}"),
            format!(
                "{{\"input_tokens\":1,\"output_tokens\":1,\"cache_read_input_tokens\":{count}}}"
            ),
            format!(
                "{{\"prompt_tokens\":9,\"prompt_tokens_details\":{{\"cached_tokens\":{count}}}}}"
            ),
        ] {
            let answer = read(Form::Json, &format!("{{\"usage\":{body}}}"), true);
            // The last is not even JSON, so that nothing is known of it.
            let why = if count == "1 2" { NoUsage::Absent } else { NoUsage::Unreadable };
            if !(count == "1 2" && body.contains("details")) {
                assert_eq!(answer, unknown(why), "{body}");
            }
            // Not an earlier one in its place either.
            let before = "data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
            let events = format!("{before}data: {{\"usage\":{body}}}\n\n{DONE}");
            if why == NoUsage::Unreadable {
                assert_eq!(read(Form::Events, &events, true), unknown(why), "{body}");
            }
        }
    }
    let more = r#"{"usage":{"prompt_tokens":5,"completion_tokens":1,"cached_tokens":6}}"#;
    assert_eq!(read(Form::Json, more, true), unknown(NoUsage::Unreadable), "more cached than read");
    let most = r#"{"usage":{"prompt_tokens":1099511627776,"completion_tokens":0001}}"#;
    assert_eq!(read(Form::Json, most, true), usage(1 << 40, 0, 1));
}

#[test]
fn text_that_is_not_json_has_none() {
    for body in [
        r#""usage":{"prompt_tokens":1,"completion_tokens":1}"#,
        r#"{"usage":{"prompt_tokens":1,"completion_tokens":1}"#,
        r#"{"usage":{"prompt_tokens":1,"completion_tokens":1}}}"#,
        r#"{"usage":{"prompt_tokens":1,"completion_tokens":1},"a":"}"#,
        r#"{"usage":{"prompt_tokens" 1}}"#,
        r#"{"usage":{"prompt_tokens":1"#,
        r#"{"usage":{"prompt_tokens":"#,
        r#"{"usage":{"#,
        r#"{"usage":"#,
        r#"{"usage"#,
        r#""usage"#,
        "{}",
        "",
    ] {
        let answer = read(Form::Json, body, true);
        // A member of an object that is cut behind it was said all the same.
        let said = body.ends_with("1}") && body.starts_with('{') || body.ends_with(r#""a":"}"#);
        let three = body.ends_with("}}}");
        let wanted = if said || three { usage(1, 0, 1) } else { unknown(NoUsage::Absent) };
        assert_eq!(answer, wanted, "{body}");
    }
}

#[test]
fn bodies_that_are_made_to_cost_are_given_up() {
    let nested = "{\"usage\":".repeat(600) + "{\"prompt_tokens\":1}" + &"}".repeat(600);
    let siblings =
        format!("{{\"a\":{{{}}}}}", vec![r#""usage":{"prompt_tokens":1}"#; 2_000].join(","));
    let below =
        format!("{{\"a\":[{{{}}}]}}", vec![r#""usage":{"prompt_tokens":1}"#; 2_000].join(","));
    for body in [&nested, &siblings, &below] {
        for body in [body.clone(), format!("data: {body}\n\n{DONE}")] {
            for form in [Form::Json, Form::Events] {
                let Err(Unknown { why, .. }) = in_chunks(form, body.as_bytes(), 16_384, true)
                else {
                    panic!("a usage was read");
                };
                // Text is no stream of events, and what ends by an event is no JSON.
                let reads = body.starts_with("data: ") == (form == Form::Events);
                assert!(!reads || why == NoUsage::Unreadable, "{why:?}: it was given up");
            }
        }
    }
    for letter in [
        "g",
        "\"usage\"",
        "\"usage\":{",
        "{",
        "[",
        "\"",
        "\\",
        "\n",
        "\r\n",
        "data:",
        "data: {\"usage\":null}\n",
    ] {
        let body = letter.repeat((256 << 10) / letter.len());
        for form in [Form::Json, Form::Events] {
            assert!(in_chunks(form, body.as_bytes(), 16_384, true).is_err(), "{letter}");
        }
    }
}

#[test]
fn a_line_of_64_mib_without_an_end_is_read_and_none_of_it_kept() {
    let mut reader = UsageReader::of(Form::Events).unwrap();
    reader.chunk(b"event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"text\":\"");
    let part = vec![b'x'; 1 << 20];
    (0..64).for_each(|_| reader.chunk(&part));
    assert_eq!(reader.usage(b"", true), unknown(NoUsage::TooLarge));
    reader.chunk(br#"","usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}}"#);
    assert_eq!(reader.usage(b"", true), usage(3, 0, 4));
}
