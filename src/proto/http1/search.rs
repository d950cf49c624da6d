//! Where a head ends.

use bytes::{Buf, BytesMut};

/// Looks for a head's end in what has been read, each byte once.
#[derive(Debug, Default)]
pub struct Search {
    seen: usize,
    /// The first line's end is there.
    first_line_fits: bool,
}

/// No head can come of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endless {
    /// A line ends without CR, which others may take for no end.
    BareLf,
    /// It is longer than is taken.
    TooLong,
    /// Not even its first line fits.
    FirstLineTooLong,
}

impl Search {
    /// The length of the head of at most `most` bytes at the front of `ahead`, once it is there. Empty lines
    /// before it are dropped (RFC 9112, section 2.2).
    pub(super) fn end(
        &mut self,
        ahead: &mut BytesMut,
        most: usize,
    ) -> Result<Option<usize>, Endless> {
        while self.seen == 0 && ahead.starts_with(b"\r\n") {
            ahead.advance(2);
        }
        let from = self.seen;
        // What lies behind the bound decides nothing: it may have come by now, or not.
        let within = ahead.len().min(most);
        for at in memchr::memchr_iter(b'\n', &ahead[from..within]) {
            let line = &ahead[..=from + at];
            if !line.ends_with(b"\r\n") {
                return Err(Endless::BareLf);
            }
            if line.ends_with(b"\r\n\r\n") {
                return Ok(Some(line.len()));
            }
            self.first_line_fits = true;
        }
        if ahead.len() > most {
            return Err(if self.first_line_fits {
                Endless::TooLong
            } else {
                Endless::FirstLineTooLong
            });
        }
        // A lone CR at the front may yet become an empty line.
        self.seen = if &ahead[..] == b"\r" { 0 } else { ahead.len() };
        Ok(None)
    }
}
