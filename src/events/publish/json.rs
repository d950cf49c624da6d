//! One event as a JSON object.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::TEXT;
use crate::events::draft::{Draft, Fields, Unfit};

const FORM: Unfit = "The body is not a JSON object with data and, where they are wanted, id and event (strings) and \
    retry (milliseconds), each once.";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Published<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event: Option<Cow<'a, str>>,
    retry: Option<u64>,
}

/// The event of a body. `data` is a string, whose text is sent, or any other JSON value, which is sent as it was
/// written.
///
/// # Errors
/// It is no such object, or its event is not fit.
pub(super) fn of_json(body: &[u8]) -> Result<Draft, Unfit> {
    let body = std::str::from_utf8(body).map_err(|_| TEXT)?;
    let published: Published<'_> = serde_json::from_str(body).map_err(|_| FORM)?;
    let data = match published.data.map(RawValue::get) {
        Some(text) if text.starts_with('"') => {
            Some(Cow::from(serde_json::from_str::<String>(text).map_err(|_| FORM)?))
        }
        other => other.map(Cow::from),
    };
    let retry = published.retry.map(|retry| retry.to_string());
    Draft::new(Fields {
        id: published.id.as_deref(),
        event: published.event.as_deref(),
        retry: retry.as_deref(),
        data: data.as_deref(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(body: &str) -> Result<String, Unfit> {
        of_json(body.as_bytes()).map(|draft| String::from_utf8(draft.lines.to_vec()).unwrap())
    }

    #[test]
    fn data_is_a_text_or_any_value_as_it_was_written() {
        for (body, expected) in [
            (r#"{"data":"a\nb"}"#, "data: a\ndata: b\n\n"),
            (r#"{"data":"\u00e9 \"x\""}"#, "data: é \"x\"\n\n"),
            (r#"{"data":{"z":1.0,"a":[ 1e2 ]}}"#, "data: {\"z\":1.0,\"a\":[ 1e2 ]}\n\n"),
            ("{\"data\":{\"a\":\n1}}", "data: {\"a\":\ndata: 1}\n\n"),
            (r#"{"data":12345678901234567890123}"#, "data: 12345678901234567890123\n\n"),
            (r#"{"data":false,"event":"x","retry":5}"#, "event: x\nretry: 5\ndata: false\n\n"),
            (r#"{"data":""}"#, "data: \n\n"),
        ] {
            assert_eq!(event(body).as_deref(), Ok(expected), "{body}");
        }
        let id = of_json(br#"{"id":"order-5","data":"x"}"#).unwrap().id;
        assert_eq!(id.as_deref(), Some("order-5"));
    }

    #[test]
    fn what_is_no_such_object_is_refused() {
        for body in [
            "",
            "[]",
            "\"x\"",
            r#"{"data":"x"} {"data":"y"}"#,
            r#"{"data":"x","Event":"y"}"#,
            r#"{"data":"x","data":"y"}"#,
            r#"{"data":"x","retry":-1}"#,
            r#"{"data":"x","retry":"5"}"#,
            r#"{"data":"x","retry":1.5}"#,
            r#"{"data":"x","id":5}"#,
            r#"{"data":{]}"#,
            r#"{"data":"\ud800"}"#,
        ] {
            assert_eq!(event(body), Err(FORM), "{body}");
        }
        for body in [
            "{}",
            r#"{"data":null}"#,
            r#"{"event":"x"}"#,
            r#"{"data":"x","event":"a\nb"}"#,
            r#"{"data":"x","id":"a\u0000b"}"#,
            r#"{"data":"x","id":"a\rb"}"#,
            r#"{"data":"x","retry":4294967296}"#,
        ] {
            assert!(event(body).is_err(), "{body}");
        }
        assert_eq!(of_json(b"{\"data\":\"\xff\"}"), Err(TEXT));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(body: Vec<u8>) {
            let _told = of_json(&body);
        }

        #[test]
        fn no_data_can_forge_a_field(data: String) {
            let body = serde_json::json!({ "data": data }).to_string();
            let text = event(&body).unwrap();
            let (lines, end) = text.split_at(text.len() - 2);
            prop_assert_eq!(end, "\n\n");
            prop_assert!(lines.split(['\n', '\r']).all(|line| line.starts_with("data: ")));
        }
    }
}
