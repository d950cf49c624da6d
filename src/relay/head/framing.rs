//! How long a body says it is. Two answers to that are how requests are smuggled (RFC 9112, section
//! 11.2), so that no message with two of them goes on.

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};

use crate::upstream::Marks;

/// The transfer codings of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// None.
    Plain,
    /// `chunked` alone, which the HTTP/1.1 side takes off and puts on.
    Chunked,
    /// Anything else: nobody here could take it off, and forwarded bare it would garble the body.
    Other,
}

/// The transfer codings that `headers` name, whose marks are these.
pub(super) fn coding(headers: &HeaderMap, marks: Marks) -> Coding {
    if !marks.any(Marks::HOP_BY_HOP) {
        return Coding::Plain;
    }
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Coding::Plain,
        (Some(line), None) if line.as_bytes().eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
        _ => Coding::Other,
    }
}

/// Leaves one `content-length` at most. False, and nothing changed, if its lines differ or are no
/// decimal number. `marks` are those of all lines.
pub(super) fn one_length(headers: &mut HeaderMap, marks: Marks) -> bool {
    if !marks.any(Marks::LENGTH) {
        return true;
    }
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lines.next() else { return true };
    if !is_number(first) {
        return false;
    }
    let mut repeated = false;
    for line in lines {
        if line != first {
            return false;
        }
        repeated = true;
    }
    if repeated {
        let first = first.clone();
        headers.insert(CONTENT_LENGTH, first);
    }
    true
}

/// Digits alone, and no more than anybody can count to: a reader that wraps around sees another number.
fn is_number(value: &HeaderValue) -> bool {
    let Ok(digits) = std::str::from_utf8(value.as_bytes()) else { return false };
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::HeadScan;

    const WRAPS: [&str; 1] = ["18446744073709551621"]; // 5 modulo 2⁶⁴

    fn with(name: &http::HeaderName, lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_static(line));
        }
        headers
    }

    #[test]
    fn lengths_that_agree_become_one() {
        for lines in [&["5"][..], &["5", "5"], &["0", "0", "0"]] {
            let mut headers = with(&CONTENT_LENGTH, lines);
            assert!(one_length(&mut headers, Marks::LENGTH));
            assert_eq!(headers, with(&CONTENT_LENGTH, &lines[..1]));
        }
        assert!(one_length(&mut HeaderMap::new(), Marks::NONE));
    }

    #[test]
    fn lengths_that_differ_or_are_no_numbers_are_refused() {
        for lines in
            [&["5", "6"][..], &["5", "05"], &["5, 5"], &["+5"], &["-1"], &[""], &["5a"], &WRAPS]
        {
            assert!(!one_length(&mut with(&CONTENT_LENGTH, lines), Marks::LENGTH), "{lines:?}");
        }
    }

    #[test]
    fn only_chunked_alone_is_understood() {
        let of = |lines| {
            let lines = with(&TRANSFER_ENCODING, lines);
            coding(&lines, HeadScan::of(&lines).marks)
        };
        assert_eq!(of(&[]), Coding::Plain);
        assert_eq!(of(&["Chunked"]), Coding::Chunked);
        for lines in [&["gzip, chunked"][..], &["chunked", "chunked"], &["identity"], &[""]] {
            assert_eq!(of(lines), Coding::Other, "{lines:?}");
        }
    }
}
