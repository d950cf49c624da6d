//! HTTP/1.1's chunked coding (RFC 9112 section 7.1), read strictly and without copying: a stream
//! that stops before its last chunk is never taken for a whole one.

/// Longest size line or trailer line accepted, in bytes.
const LINE_MAX: usize = 8 * 1024;

/// What the decoder expects next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size { digits: u8 },
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

/// A decoder for one body.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// Bytes left of the present chunk, or its size as read so far.
    left: u64,
    line: usize,
}

/// The peer's framing is not chunked coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadChunk(pub(super) &'static str);

impl Chunked {
    pub(super) fn new() -> Self {
        Self { state: State::Size { digits: 0 }, left: 0, line: 0 }
    }

    /// Whether the last chunk and its trailers have been read.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::End
    }

    /// Reads from `bytes`, handing each run of body bytes to `data`; returns how many were used,
    /// which is all of them unless the body ended within.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        mut data: impl FnMut(&[u8]),
    ) -> Result<usize, BadChunk> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::End {
            if self.state == State::Data {
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - at);
                data(&bytes[at..at + take]);
                self.left -= take as u64;
                at += take;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            self.state = self.step(bytes[at])?;
            at += 1;
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<State, BadChunk> {
        Ok(match (self.state, byte) {
            (State::Size { digits }, byte) if byte.is_ascii_hexdigit() => {
                if digits == 15 {
                    return Err(BadChunk("chunk size too large"));
                }
                let digit = (byte as char).to_digit(16).unwrap_or(0);
                self.left = self.left * 16 + u64::from(digit);
                State::Size { digits: digits + 1 }
            }
            (State::Size { digits: 0 }, _) => {
                return Err(BadChunk("chunk size is not hexadecimal"));
            }
            (State::Size { .. } | State::Extension, b'\r') => State::SizeLf,
            (State::Size { .. }, b';' | b' ' | b'\t') => State::Extension,
            (State::Size { .. }, _) => return Err(BadChunk("chunk size is not hexadecimal")),
            (State::Extension | State::TrailerStart | State::Trailer, b'\n') => {
                return Err(BadChunk("bare LF"));
            }
            (State::Extension, _) => self.longer(State::Extension)?,
            (State::SizeLf, b'\n') => {
                self.line = 0;
                if self.left == 0 { State::TrailerStart } else { State::Data }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { digits: 0 },
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerStart | State::Trailer, _) => self.longer(State::Trailer)?,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::End,
            _ => return Err(BadChunk("chunk not closed by CRLF")),
        })
    }

    fn longer(&mut self, state: State) -> Result<State, BadChunk> {
        self.line += 1;
        if self.line > LINE_MAX { Err(BadChunk("line too long")) } else { Ok(state) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRE: &[u8] = b"5\r\nhello\r\n1;x=y\r\n \r\n005\r\nworld\r\n0\r\nA: b\r\n\r\nNEXT";

    fn read(parts: &[&[u8]]) -> Result<(Vec<u8>, usize, bool), BadChunk> {
        let (mut decoder, mut body, mut used) = (Chunked::new(), Vec::new(), 0);
        for part in parts {
            used += decoder.feed(part, |data| body.extend_from_slice(data))?;
        }
        Ok((body, used, decoder.is_done()))
    }

    #[test]
    fn every_split_of_the_wire_gives_the_same_body() {
        for split in 0..WIRE.len() {
            let (body, used, done) = read(&[&WIRE[..split], &WIRE[split..]]).unwrap();
            assert_eq!(body, b"hello world");
            assert!(done);
            if split <= WIRE.len() - 4 {
                assert_eq!(used, WIRE.len() - 4, "what follows the body is left alone");
            }
        }
    }

    #[test]
    fn a_body_cut_anywhere_is_not_done() {
        for cut in 0..WIRE.len() - 4 {
            assert!(!read(&[&WIRE[..cut]]).unwrap().2, "cut at {cut}");
        }
    }

    #[test]
    fn broken_framing_is_refused() {
        for wire in
            [&b"x\r\n"[..], b"\r\n", b"5\nhello", b"1\r\nab\r\n", b"0\r\n\n", b"fffffffffffffffff"]
        {
            assert!(read(&[wire]).is_err(), "{wire:?}");
        }
    }
}
