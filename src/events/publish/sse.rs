//! Events as they stand in a stream (WHATWG HTML, section 9.2.6), read strictly: what a client would pass over is
//! more likely a slip of the publisher's.

use super::{EMPTY, MOST, TEXT};
use crate::events::draft::{Draft, Fields, Unfit};

const TWICE: Unfit = "An event has its id, event or retry twice.";
const FIELD: Unfit = "A line of the body is none of an event stream: fields are id, event, retry and data, and \
    other lines begin with a colon.";
const MANY: Unfit = "The body holds more than 512 events; send them in several requests.";

/// All events of a body. Comments are dropped, and so are blank lines between events; the end of the body ends the
/// last event too.
///
/// # Errors
/// It is no such stream, or one of its events is not fit.
pub(super) fn of_sse(body: &[u8]) -> Result<Vec<Draft>, Unfit> {
    let text = std::str::from_utf8(body).map_err(|_| TEXT)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut drafts = Vec::new();
    let mut open = Open::default();
    for line in lines(text) {
        if line.is_empty() {
            drafts.extend(open.close()?);
        } else {
            open.take(line)?;
        }
        if drafts.len() > MOST {
            return Err(MANY);
        }
    }
    drafts.extend(open.close()?);
    match drafts.len() {
        0 => Err(EMPTY),
        count if count > MOST => Err(MANY),
        _ => Ok(drafts),
    }
}

/// An event whose blank line has not come.
#[derive(Default)]
struct Open<'a> {
    id: Option<&'a str>,
    event: Option<&'a str>,
    retry: Option<&'a str>,
    data: Option<String>,
}

impl<'a> Open<'a> {
    fn take(&mut self, line: &'a str) -> Result<(), Unfit> {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        let slot = match name {
            "" => return Ok(()),
            "data" => {
                match &mut self.data {
                    Some(data) => data.extend(["\n", value]),
                    None => self.data = Some(value.to_owned()),
                }
                return Ok(());
            }
            "id" => &mut self.id,
            "event" => &mut self.event,
            "retry" => &mut self.retry,
            _ => return Err(FIELD),
        };
        if slot.replace(value).is_some() { Err(TWICE) } else { Ok(()) }
    }

    fn close(&mut self) -> Result<Option<Draft>, Unfit> {
        let Self { id, event, retry, data } = std::mem::take(self);
        if id.is_none() && event.is_none() && retry.is_none() && data.is_none() {
            return Ok(None);
        }
        Draft::new(Fields { id, event, retry, data: data.as_deref() }).map(Some)
    }
}

/// They end by CR, LF or both.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = rest.find(['\r', '\n']).unwrap_or(rest.len());
        let (line, behind) = rest.split_at(at);
        rest = behind.strip_prefix("\r\n").or(behind.get(1..)).unwrap_or_default();
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(body: &str) -> Result<Vec<String>, Unfit> {
        let drafts = of_sse(body.as_bytes())?;
        let text = |draft: Draft| String::from_utf8(draft.lines.to_vec()).unwrap();
        Ok(drafts.into_iter().map(text).collect())
    }

    #[test]
    fn several_events_stand_in_one_body_whatever_ends_their_lines() {
        let expected = Ok(vec!["data: a\ndata: b\n\n".to_owned(), "event: x\ndata: c\n\n".into()]);
        for end in ["\n", "\r", "\r\n"] {
            let body = ["data: a", "data:b", "", "", ": a comment", "event:x", "data: c", "", ""];
            assert_eq!(events(&body.join(end)), expected, "{end:?}");
        }
        assert_eq!(events("\u{feff}data: a\ndata: b\n\ndata: c\nevent: x"), expected);
        assert_eq!(events("data"), Ok(vec!["data: \n\n".into()]));
        assert_eq!(events("data:  two"), Ok(vec!["data:  two\n\n".into()]));
    }

    #[test]
    fn the_publisher_may_choose_an_id() {
        let drafts = of_sse(b"id: order-5\ndata: a\n\ndata: b\n\n").unwrap();
        assert_eq!(drafts[0].id.as_deref(), Some("order-5"));
        assert_eq!(drafts[1].id, None);
    }

    #[test]
    fn what_a_client_would_pass_over_is_refused() {
        for (body, expected) in [
            ("", EMPTY),
            ("\n\n", EMPTY),
            (": only a comment\n\n", EMPTY),
            ("datas: x\n\n", FIELD),
            ("Data: x\n\n", FIELD),
            ("{\"data\": 1}", FIELD),
            (" data: x\n\n", FIELD),
            ("id: a\nid: b\ndata: x\n\n", TWICE),
        ] {
            assert_eq!(events(body), Err(expected), "{body:?}");
        }
        for body in ["event: x\n\n", "id: a\0b\ndata: x", "retry: soon\ndata: x", "id:\ndata: x"] {
            assert!(events(body).is_err(), "{body:?}");
        }
        assert_eq!(of_sse(b"data: \xff\n\n"), Err(TEXT));
        assert_eq!(events(&"data\n\n".repeat(512)).map(|all| all.len()), Ok(512));
        assert_eq!(events(&"data\n\n".repeat(513)), Err(MANY));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(body: Vec<u8>) {
            let _told = of_sse(&body);
        }

        /// What subscribers get reads as what was published.
        #[test]
        fn what_is_written_reads_the_same(
            data in "[a-z :\r\n]{0,20}", event in proptest::option::of("[a-z: ]{1,8}"), retry in proptest::option::of(0..=u32::MAX),
        ) {
            let retry = retry.map(|retry| retry.to_string());
            let fields =
                Fields { id: None, event: event.as_deref(), retry: retry.as_deref(), data: Some(&data) };
            let draft = Draft::new(fields).unwrap();
            prop_assert_eq!(of_sse(&draft.lines), Ok(vec![draft.clone()]));
            let with_id = draft.encode("order-5");
            let again = of_sse(&with_id).unwrap();
            prop_assert_eq!(again[0].id.as_deref(), Some("order-5"));
            prop_assert_eq!(&again[0].lines, &draft.lines);
        }
    }
}
