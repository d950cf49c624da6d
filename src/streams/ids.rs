//! Puts an `id:` line into each event, so that `EventSource` comes back to where it was: the id is the offset behind
//! the event, in the bytes as the upstream sent them.

use std::io::Write;

use bytes::{BufMut, Bytes, BytesMut};

use super::scan::Scan;

/// Longest line that is put in: `id: `, 20 digits and LF.
const LINE: usize = 25;

/// Between two events at first.
#[derive(Debug)]
pub(super) struct Ids {
    scan: Scan,
    /// Of the next byte.
    offset: u64,
}

impl Ids {
    /// Of a stream that is read from `offset` on, where an event had ended.
    pub(super) fn from(offset: u64) -> Self {
        Self { scan: Scan::default(), offset }
    }

    /// The next bytes, with their lines. A line stands before the empty one that ends its event, so that it is the last
    /// `id:` of the event and counts, whatever the upstream calls its own.
    pub(super) fn put_into(&mut self, bytes: &Bytes) -> Bytes {
        let (mut read, mut out) = (0, None);
        while let Some(blank) = self.scan.next(&bytes[read..]) {
            let (at, end) = (read + blank.at, read + blank.end);
            if !blank.is_idle {
                let (copied, out) =
                    out.get_or_insert_with(|| (0, BytesMut::with_capacity(bytes.len() + LINE)));
                out.extend_from_slice(&bytes[*copied..at]);
                // A buffer that grows takes all.
                let _ = writeln!(out.writer(), "id: {}", self.offset + end as u64);
                *copied = at;
            }
            read = end;
        }
        self.offset += bytes.len() as u64;
        match out {
            None => bytes.clone(),
            Some((copied, mut out)) => {
                out.extend_from_slice(&bytes[copied..]);
                out.freeze()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_ids(text: &str, size: usize) -> String {
        let (mut ids, mut out) = (Ids::from(100), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            out.extend_from_slice(&ids.put_into(&Bytes::copy_from_slice(piece)));
        }
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn each_event_gets_the_offset_behind_it_as_its_last_id() {
        assert_eq!(with_ids("data: a\n\n", 99), "data: a\nid: 109\n\n");
        assert_eq!(
            with_ids("id: theirs\ndata: a\r\n\r\n: note\n\nda", 99),
            "id: theirs\ndata: a\r\nid: 122\n\r\n: note\nid: 130\n\nda"
        );
        assert_eq!(with_ids("\n\ndata: a\r\r", 99), "\n\ndata: a\rid: 111\n\r");
        assert_eq!(with_ids("\u{feff}data: a\n\n", 99), "\u{feff}data: a\nid: 112\n\n");
    }

    #[test]
    fn pieces_of_any_size_get_the_same_lines() {
        let text = "data: a\n\n\ndata: b\ndata: c\n\ndata: d\r\rdata: e";
        for size in 1..text.len() {
            assert_eq!(with_ids(text, size), with_ids(text, 99), "in pieces of {size}");
        }
        // The LF of a CRLF that comes late finds its event numbered already.
        assert_eq!(
            with_ids("data: a\r\n\r\ndata: b\r\n\r\n", 1),
            "data: a\r\nid: 110\n\r\ndata: b\r\nid: 121\n\r\n"
        );
    }
}
