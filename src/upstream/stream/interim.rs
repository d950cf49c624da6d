//! Interim responses (RFC 9110, section 15.2) before a request's final one. They are read and not forwarded:
//! no API of this kind has a use for them. A request takes so many and no more, or an upstream could go on
//! with them for as long as its head may take.

use std::cell::Cell;
use std::fmt;

/// Interim responses that a request takes. A server that says each ten seconds that it still works (102) says
/// it as often in a quarter of an hour; 100 (Continue) and 103 (Early Hints) are said once.
pub(in crate::upstream) const MOST: u8 = 100;

/// Counts them in the bytes of an HTTP/1.1 connection: hyper passes over them without a word, or with an
/// allocation for each request.
#[derive(Debug)]
pub(in crate::upstream) struct Interims {
    at: Cell<At>,
    seen: Cell<u8>,
}

#[derive(Debug, Clone, Copy)]
enum At {
    /// Behind a final status line, or where none is due: nothing is looked at.
    Past,
    /// So far in a status line, and what of its code is known.
    Line { at: u8, code: u16 },
    /// Inside an interim response; whether its line is empty so far.
    Interim { empty: bool },
}

const BEGIN: At = At::Line { at: 0, code: 0 };

/// Where the code stands in `HTTP/1.1 100 Continue`.
const CODE: u8 = 9;

/// A request was answered with more interim responses than it takes.
#[derive(Debug)]
pub(in crate::upstream) struct TooMany;

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many interim (1xx) responses")
    }
}

impl std::error::Error for TooMany {}

impl Default for Interims {
    /// No request is under way.
    fn default() -> Self {
        Self { at: Cell::new(At::Past), seen: Cell::new(0) }
    }
}

impl Interims {
    /// A request begins: what is read next is the head of its answer, or an interim one.
    pub(in crate::upstream) fn begin(&self) {
        self.at.set(BEGIN);
        self.seen.set(0);
    }

    /// Looks at what was read.
    ///
    /// # Errors
    /// There are too many.
    pub(in crate::upstream) fn see(&self, bytes: &[u8]) -> Result<(), TooMany> {
        let mut at = self.at.get();
        for byte in bytes {
            at = match at {
                At::Past => return Ok(()),
                At::Line { at: 0, .. } if b"\r\n".contains(byte) => BEGIN,
                At::Line { at, code } if at < CODE => At::Line { at: at + 1, code },
                At::Line { at, code } => {
                    let code = code * 10 + u16::from(byte.wrapping_sub(b'0'));
                    if at < CODE + 2 { At::Line { at: at + 1, code } } else { self.line(code)? }
                }
                At::Interim { empty: true } if *byte == b'\n' => BEGIN,
                At::Interim { .. } if *byte == b'\n' => At::Interim { empty: true },
                At::Interim { empty } => At::Interim { empty: empty && *byte == b'\r' },
            };
            self.at.set(at);
        }
        Ok(())
    }

    /// 101 (Switching Protocols) is final on its connection.
    fn line(&self, code: u16) -> Result<At, TooMany> {
        if !(100..200).contains(&code) || code == 101 {
            return Ok(At::Past);
        }
        if self.seen.get() == MOST {
            return Err(TooMany);
        }
        self.seen.set(self.seen.get() + 1);
        Ok(At::Interim { empty: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a request takes these bytes, given in pieces of `piece`.
    fn takes(bytes: &[u8], piece: usize) -> bool {
        let interims = Interims::default();
        interims.begin();
        bytes.chunks(piece).all(|piece| interims.see(piece).is_ok())
    }

    #[test]
    fn so_many_are_taken_and_one_more_is_not_however_they_are_cut() {
        let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
        let last = "HTTP/1.1 200 OK\r\n\r\n";
        for interim in
            [hints, "HTTP/1.1 100 \r\n\r\n", "\r\nHTTP/1.0 102\n\n", "HTTP/1.1 199 x\r\na:b\n\r\n"]
        {
            for piece in [1, 2, 7, 64 * 1024] {
                let most = interim.repeat(MOST.into());
                assert!(takes((most.clone() + last).as_bytes(), piece), "{interim:?}");
                assert!(!takes((most + interim).as_bytes(), piece), "{interim:?}");
            }
        }
    }

    #[test]
    fn nothing_behind_the_final_line_is_looked_at() {
        let interim = "HTTP/1.1 103 \r\n\r\n".repeat(200);
        for last in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 101 \r\n\r\n",
            "HTTP/1.1 500\r\n\r\n",
            "nonsense......",
        ] {
            assert!(takes((last.to_owned() + &interim).as_bytes(), 5), "{last:?}");
        }
        let idle = Interims::default();
        assert!(idle.see(interim.as_bytes()).is_ok(), "no request is under way");
    }

    #[test]
    fn each_request_takes_as_many() {
        let interims = Interims::default();
        for _ in 0..3 {
            interims.begin();
            let answer =
                "HTTP/1.1 100 \r\n\r\n".repeat(MOST.into()) + "HTTP/1.1 200 OK\r\n\r\nbody";
            assert!(interims.see(answer.as_bytes()).is_ok());
        }
    }
}
