//! Looks through a request's body behind its model while it goes up: of two models some servers take the last.

use crate::error::{Error, Kind};
use crate::proto::field::{Fault, Scan, Step};

/// The field is not among the bytes that may be held.
pub(super) const FAR: Fault = "The request's model does not stand within the first bytes of its body that this proxy \
    looks through (model_bytes of the route); put it before long fields and files.";

/// No server reads it, or none should.
const BEHIND: Fault = "The request body goes on behind its end.";

/// A scan that found the field, or did not where it should stand, and is fed on. Each piece is shown to it before it goes
/// up; what it refuses stays here, so that no upstream gets a whole body of which that is a part.
pub(super) struct Watch {
    scan: Scan,
    ended: bool,
    /// What it said once it says ever after: nothing of such a body goes up any more.
    fault: Option<Fault>,
}

impl Watch {
    /// Goes on where the scan stopped; `ended`: at the end.
    pub(super) fn new(scan: Scan, ended: bool) -> Self {
        Self { scan, ended, fault: None }
    }

    /// Looks through the next bytes.
    ///
    /// # Errors
    /// [`Kind::ModelUnreadable`]: they hold a second field, or have no one reading.
    pub(super) fn see(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let seen = self.fault.map_or_else(|| self.look(bytes), Err);
        seen.map_err(|fault| {
            self.fault = Some(fault);
            Kind::ModelUnreadable(fault).into()
        })
    }

    fn look(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !self.ended && !bytes.is_empty() {
            let (used, step) = self.scan.feed(bytes)?;
            if let Step::Found(_) = step {
                // Where a second one came it would have failed.
                return Err(FAR);
            }
            self.ended = step == Step::Ended;
            bytes = &bytes[used..];
        }
        if bytes.iter().all(u8::is_ascii_whitespace) { Ok(()) } else { Err(BEHIND) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::field::Multipart;

    /// Shows the rest of a body whose model was found, in pieces of so many bytes.
    fn shown(mut scan: Scan, body: &str, piece: usize) -> Result<(), &'static str> {
        let (used, step) = scan.feed(body.as_bytes()).unwrap();
        assert!(matches!(step, Step::Found(_)), "{body}");
        let mut watch = Watch::new(scan, false);
        for bytes in body.as_bytes()[used..].chunks(piece) {
            if let Err(error) = watch.see(bytes) {
                for more in [&b" "[..], b""] {
                    assert_eq!(watch.see(more).unwrap_err().message(), error.message(), "for ever");
                }
                return Err(error.message());
            }
        }
        Ok(())
    }

    #[track_caller]
    fn assert_shown(scan: impl Fn() -> Scan, body: &str, word: Option<&str>) {
        for piece in [1, 2, 7, body.len()] {
            match (shown(scan(), body, piece), word) {
                (Ok(()), None) => {}
                (Err(why), Some(word)) if why.contains(word) => {}
                (said, _) => panic!("{said:?} of {body}, by {piece}"),
            }
        }
    }

    #[test]
    fn a_second_model_is_seen_however_it_is_written_and_split() {
        let json = || Scan::Json(Box::default());
        for (rest, word) in [
            ("}", None),
            ("} \r\n", None),
            (r#","x":{"model":"b"},"y":"\"model\":\"b\""}"#, None),
            (r#","modeled":"b"}"#, None),
            (r#","x":[1"#, None),
            (r#","model":"b"}"#, Some("twice")),
            (r#","model":"a"}"#, Some("twice")),
            (r#","x":[{}],"mod\u0065l":"b"}"#, Some("twice")),
            (r#","model":null}"#, Some("twice")),
            (r#","Model":"b"}"#, Some("case")),
            (r#","mode\u004c":"b"}"#, Some("case")),
            (",'model':'b'}", Some("not valid")),
            (r#",/**/"model":"b"}"#, Some("not valid")),
            (r#"} {"model":"b"}"#, Some("behind its end")),
            ("}\0", Some("behind its end")),
        ] {
            assert_shown(json, &format!(r#"{{"model":"a"{rest}"#), word);
        }
    }

    #[test]
    fn a_first_model_that_comes_too_late_is_refused() {
        let mut watch = Watch::new(Scan::Json(Box::default()), false);
        assert!(watch.see(br#"{"x":{"model":"a"}"#).is_ok());
        assert_eq!(watch.see(br#","model":"a"}"#).unwrap_err().message(), FAR);
    }

    #[test]
    fn nothing_follows_a_body_that_has_ended_without_a_model() {
        for (rest, word) in [("", None), (" \r\n", None), ("x", Some(BEHIND)), ("{}", Some(BEHIND))]
        {
            let mut scan = Scan::Json(Box::default());
            assert_eq!(scan.feed(b"{}"), Ok((2, Step::Ended)));
            let seen = Watch::new(scan, true).see(rest.as_bytes());
            assert_eq!(seen.err().map(|error| error.message()), word, "{rest}");
        }
    }

    #[test]
    fn a_second_field_of_a_form_is_seen_too() {
        let form = || Scan::Multipart(Box::new(Multipart::new("b")));
        let field = |name: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nx\r\n")
        };
        for (rest, word) in [
            (field("file"), None),
            (field("model"), Some("twice")),
            (field("file") + &field("mod\\el"), Some("twice")),
            (field("MODEL"), Some("case")),
            (format!("--b--\r\n{}", field("model")), Some("behind its end")),
        ] {
            assert_shown(form, &format!("{}{rest}--b--\r\n", field("model")), word);
        }
    }
}
