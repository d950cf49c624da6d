//! Where events end in a stream of server-sent events (HTML, section 9.2.6), in whatever pieces it comes: lines end
//! with LF, CR or CRLF, and an empty line ends an event.

use memchr::memchr2;

/// What was read so far, as far as it decides where the next event ends. Pure, and a few bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Scan {
    place: Place,
    /// The last byte was a CR: an LF right after it belongs to the same end of line.
    after_cr: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// Before any byte of an event.
    #[default]
    Between,
    /// At the beginning of a line that is not an event's first.
    LineStart,
    /// Inside a line. A byte order mark before the first one counts as part of it, which changes no end of an event
    /// that has a line.
    Line,
}

/// The empty line that ends an event, as places in the bytes that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blank {
    /// Where it begins.
    pub(super) at: usize,
    /// Behind it: the next event's first byte. Between a CR and an LF where the LF has not come yet.
    pub(super) end: usize,
    /// There was no line before it: no event ends.
    pub(super) is_idle: bool,
}

impl Scan {
    /// After bytes that nobody saw: inside a line, as far as anybody knows.
    pub(super) fn inside() -> Self {
        Self { place: Place::Line, after_cr: false }
    }

    /// An event, or nothing, ended with the last byte that was read. Also true between the CR and the LF of the empty
    /// line: who begins to read there gets one more empty line, which says nothing.
    pub(super) fn is_between(self) -> bool {
        self.place == Place::Between
    }

    /// Reads on behind the next empty line; all of `bytes` where there is none.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Option<Blank> {
        let mut at = 0;
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            at = usize::from(bytes[0] == b'\n');
        }
        while let Some(byte) = bytes.get(at) {
            let is_line_end = matches!(byte, b'\r' | b'\n');
            if is_line_end && self.place != Place::Line {
                let is_idle = self.place == Place::Between;
                let end = self.line_end(bytes, at);
                self.place = Place::Between;
                return Some(Blank { at, end, is_idle });
            }
            let Some(length) = memchr2(b'\r', b'\n', &bytes[at..]) else {
                self.place = Place::Line;
                return None;
            };
            at = self.line_end(bytes, at + length);
            self.place = Place::LineStart;
        }
        None
    }

    /// All of `bytes`. The last place in them where an event had ended, if there is one.
    pub(super) fn through(&mut self, bytes: &[u8]) -> Option<usize> {
        let (mut read, mut last) = (0, None);
        // The rest of an empty line whose CR came before.
        if self.is_between() && self.after_cr && bytes.first() == Some(&b'\n') {
            last = Some(1);
        }
        while let Some(blank) = self.next(&bytes[read..]) {
            read += blank.end;
            last = Some(read);
        }
        last
    }

    /// Behind the end of a line that begins at `at`.
    fn line_end(&mut self, bytes: &[u8], at: usize) -> usize {
        if bytes[at] == b'\n' {
            return at + 1;
        }
        match bytes.get(at + 1) {
            Some(b'\n') => at + 2,
            Some(_) => at + 1,
            None => {
                self.after_cr = true;
                at + 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All places where events end, of a text that comes in pieces of `size`.
    fn ends(text: &str, size: usize) -> Vec<usize> {
        let (mut scan, mut all, mut before) = (Scan::default(), Vec::new(), 0);
        for piece in text.as_bytes().chunks(size) {
            let mut read = 0;
            while let Some(blank) = scan.next(&piece[read..]) {
                read += blank.end;
                if !blank.is_idle {
                    all.push(before + read);
                }
            }
            before += piece.len();
        }
        all
    }

    #[test]
    fn an_event_ends_behind_an_empty_line_however_lines_end() {
        assert_eq!(ends("data: a\n\ndata: b\n\n", 99), [9, 18]);
        assert_eq!(ends("data: a\r\n\r\ndata: b\r\n\r\n", 99), [11, 22]);
        assert_eq!(ends("data: a\r\rdata: b\r\r", 99), [9, 18]);
        assert_eq!(ends("data: a\r\n\ndata: b\n\r\n", 99), [10, 20]);
        assert_eq!(ends("\u{feff}data: a\n\n", 99), [12]);
        assert_eq!(ends("data: a\ndata: b", 99), [0; 0]);
    }

    #[test]
    fn pieces_of_any_size_end_the_same_events() {
        for text in [":\n\nid: 1\ndata: a\n\n\n\ndata: b\n\n", "data: a\r\rdata: b\r\r"] {
            for size in 1..text.len() {
                assert_eq!(ends(text, size), ends(text, 99), "{text:?} in pieces of {size}");
            }
        }
        // Between the CR and the LF an event has ended too.
        assert_eq!(ends("data: a\r\n\r\ndata: b\r\n\r\n", 1), [10, 21]);
    }

    #[test]
    fn empty_lines_between_events_end_none() {
        let mut scan = Scan::default();
        assert!(scan.next(b"\n").is_some_and(|blank| blank.is_idle));
        assert_eq!(scan.through(b"\n\ndata: a\n\n: b"), Some(11));
        assert!(!scan.is_between());
    }
}
