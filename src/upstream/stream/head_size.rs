//! How large a head is as HTTP/2 counts it (RFC 9113, section 6.5.2), and which are large enough to cost
//! a connection.

use http::{HeaderMap, Request};

use super::{Broken, huffman};
use crate::error::Cause;

/// What each line counts beside its name and value.
const LINE: usize = 32;

/// Over this a server may end the connection and all that is on it: nginx, `HAProxy` and others keep a head in
/// a buffer of 16 KiB or less, and announce no bound. The head of an SDK's request has about 1 KiB.
const LARGE: usize = 8 * 1024;

/// The same for lines: `HAProxy` takes 101.
const MANY: usize = 64;

/// The same for what is written of names and values, which can be more than there is to read. nginx takes 5 KiB of
/// each.
const LARGE_WRITTEN: usize = 4 * 1024;

/// The names of a request's four pseudo-headers.
const PSEUDO: usize = ":method".len() + ":scheme".len() + ":authority".len() + ":path".len();

/// The size of a head, or of trailers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadSize {
    /// Names, values, and 32 for each line.
    pub bytes: usize,
    /// Lines, pseudo-headers included.
    pub lines: usize,
}

impl HeadSize {
    /// Of all lines of a map.
    pub fn of(lines: &HeaderMap) -> Self {
        lines.iter().fold(Self::default(), |size, (name, value)| {
            size.with(name.as_str().len() + value.len())
        })
    }

    /// Of a request as it is sent over HTTP/2.
    pub fn of_request(head: &Request<()>) -> Self {
        let uri = head.uri();
        let text = |part: Option<&str>| part.map_or(0, str::len);
        let values = head.method().as_str().len()
            + text(uri.scheme_str())
            + text(uri.authority().map(http::uri::Authority::as_str))
            + text(uri.path_and_query().map(http::uri::PathAndQuery::as_str));
        let lines = Self::of(head.headers());
        Self { bytes: lines.bytes + PSEUDO + values + 4 * LINE, lines: lines.lines + 4 }
    }

    /// With one more line, whose name and value have so many bytes.
    #[must_use]
    pub fn with(self, name_and_value: usize) -> Self {
        Self { bytes: self.bytes + name_and_value + LINE, lines: self.lines + 1 }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, lines: self.lines + other.lines }
    }

    /// Large enough to cost a connection where the peer says nothing of what it takes. `text` gives the names and
    /// values; asked for only where they could make it so.
    pub fn is_large<'a, T: Iterator<Item = &'a [u8]>>(self, text: impl FnOnce() -> T) -> bool {
        let names_and_values = self.bytes - self.lines * LINE;
        let written = || text().map(huffman::bits).sum::<usize>();
        self.bytes > LARGE
            || self.lines > MANY
            || names_and_values * huffman::MOST_BITS > LARGE_WRITTEN * 8
                && written() > LARGE_WRITTEN * 8
    }
}

/// What is taken of an answer's head, of each interim one (1xx), and of its trailers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimit {
    /// In bytes as [`HeadSize`] counts them.
    pub bytes: usize,
    /// In lines.
    pub lines: usize,
}

impl HeadLimit {
    /// Whether these are few enough. The pseudo-header of an answer is no line.
    ///
    /// # Errors
    /// [`Broken::HeadTooLarge`]: there are more.
    pub(in crate::upstream) fn check(self, size: HeadSize) -> Result<(), Broken> {
        if size.lines > self.lines {
            return Err(Broken::HeadTooLarge(Cause::TooManyHeaders));
        }
        if size.bytes > self.bytes {
            return Err(Broken::HeadTooLarge(Cause::HeadTooLarge));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_as_the_standard_says() {
        let head = Request::post("https://a.test/v1?b").header("x-one", "1").header("x-one", "22");
        let size = HeadSize::of_request(&head.body(()).unwrap());
        let pseudo = [(":method", "POST"), (":scheme", "https")];
        let target = [(":authority", "a.test"), (":path", "/v1?b")];
        let lines = [("x-one", "1"), ("x-one", "22")];
        let all = pseudo.iter().chain(&target).chain(&lines);
        let bytes = all.map(|(name, value)| name.len() + value.len() + 32).sum();
        assert_eq!(size, HeadSize { bytes, lines: 6 });
    }

    #[test]
    fn bytes_or_lines_or_what_is_written_make_a_head_large() {
        let of = |bytes, lines, text: &[u8]| {
            HeadSize { bytes, lines }.is_large(|| std::iter::once(text))
        };
        assert!(!of(8 * 1024, 64, b""));
        assert!(of(8 * 1024 + 1, 1, b""));
        assert!(of(64 * 32, 64, b"") != of(65 * 32, 65, b""));
        let text = |byte: u8, len: usize| of(len + 32, 1, &vec![byte; len]);
        assert!(!text(b'p', 5_400) && text(b'p', 5_500), "six bits each");
        assert!(!text(0xe9, 1_480) && text(0xe9, 1_500), "22 bits each");
    }
}
