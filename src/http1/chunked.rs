//! The chunked coding of a request's body, taken off (RFC 9112, section 7.1).

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Bytes that a body may spend on chunk extensions, which nobody reads, and on its trailers. What
/// chunk sizes themselves need is not counted.
const SPARE: usize = 16 * 1024;

/// Sixteen digits hold the largest size there is.
const DIGITS: usize = 16;

/// Trailer lines.
const TRAILERS: usize = 64;

/// A body that is not what the coding allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What the bytes at hand are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Data(Bytes),
    Trailers(HeaderMap),
    /// Nothing whole: more must be read.
    More,
    End,
}

#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    spare: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    End,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self { state: State::Size, spare: SPARE }
    }

    pub(super) fn is_end(&self) -> bool {
        self.state == State::End
    }

    /// Takes the next part from the front of `buffer`. What is wrong is not taken, and found again.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Step, Malformed> {
        loop {
            match self.state {
                State::Data(left) if buffer.is_empty() => {
                    debug_assert!(left > 0, "a chunk's last byte was followed by its end");
                    return Ok(Step::More);
                }
                State::Data(left) => return Ok(Step::Data(self.data(left, buffer))),
                State::Trailers => match trailers(buffer, self.spare)? {
                    None => return Ok(Step::More),
                    Some((length, lines)) => {
                        buffer.advance(length);
                        self.state = State::End;
                        if !lines.is_empty() {
                            return Ok(Step::Trailers(lines));
                        }
                    }
                },
                State::End => return Ok(Step::End),
                State::Size | State::DataEnd => {
                    if !self.step(buffer)? {
                        return Ok(Step::More);
                    }
                }
            }
        }
    }

    fn data(&mut self, left: u64, buffer: &mut BytesMut) -> Bytes {
        let part = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let data = buffer.split_to(part).freeze();
        let left = left - part as u64;
        self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
        self.look_ahead(buffer);
        data
    }

    /// Goes on to the body's end if that is at hand, so that the last bytes can say that they are.
    fn look_ahead(&mut self, buffer: &mut BytesMut) {
        while matches!(self.state, State::Size | State::DataEnd) {
            let Ok(true) = self.step(buffer) else { return };
        }
        if self.state == State::Trailers && buffer.starts_with(b"\r\n") {
            buffer.advance(2);
            self.state = State::End;
        }
    }

    /// Over the line that ends a chunk or begins one; false if it is not whole yet.
    fn step(&mut self, buffer: &mut BytesMut) -> Result<bool, Malformed> {
        if self.state == State::DataEnd {
            if !b"\r\n".starts_with(&buffer[..buffer.len().min(2)]) {
                return Err(Malformed);
            }
            if buffer.len() < 2 {
                return Ok(false);
            }
            buffer.advance(2);
            self.state = State::Size;
            return Ok(true);
        }
        let Some((length, size, spent)) = size(buffer, self.spare)? else { return Ok(false) };
        buffer.advance(length);
        self.spare -= spent;
        self.state = if size == 0 { State::Trailers } else { State::Data(size) };
        Ok(true)
    }
}

/// The length of the line that begins a chunk, the chunk's size, and what its extension spent.
fn size(buffer: &[u8], spare: usize) -> Result<Option<(usize, u64, usize)>, Malformed> {
    let digits = buffer.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits > DIGITS || (digits == 0 && !buffer.is_empty()) {
        return Err(Malformed);
    }
    let rest = &buffer[digits..];
    let Some(end) = memchr::memchr(b'\n', rest) else {
        let plausible = rest.first().is_none_or(|byte| b"\r; \t".contains(byte));
        return if plausible && rest.len() <= spare { Ok(None) } else { Err(Malformed) };
    };
    let extension = rest[..end].strip_suffix(b"\r").ok_or(Malformed)?;
    if !(extension.is_empty() || is_extension(extension)) || extension.len() > spare {
        return Err(Malformed);
    }
    let text = std::str::from_utf8(&buffer[..digits]).map_err(|_| Malformed)?;
    let size = u64::from_str_radix(text, 16).map_err(|_| Malformed)?;
    Ok(Some((digits + end + 1, size, extension.len())))
}

/// A semicolon after white space, and no control character: a CR would be a line's end to some readers,
/// a NUL or a form feed to others.
fn is_extension(text: &[u8]) -> bool {
    let name = text.iter().position(|byte| !b" \t".contains(byte));
    name.is_some_and(|at| text[at] == b';')
        && text.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control())
}

/// The length of the trailers with their empty line, and the trailers.
fn trailers(buffer: &[u8], spare: usize) -> Result<Option<(usize, HeaderMap)>, Malformed> {
    if buffer.starts_with(b"\r\n") {
        return Ok(Some((2, HeaderMap::new())));
    }
    let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") else {
        return if buffer.len() <= spare { Ok(None) } else { Err(Malformed) };
    };
    // The parser would take a line that ends without CR, which is one line to other readers.
    if memchr::memchr_iter(b'\n', &buffer[..end]).any(|at| at == 0 || buffer[at - 1] != b'\r') {
        return Err(Malformed);
    }
    let mut lines = [httparse::EMPTY_HEADER; TRAILERS];
    match httparse::parse_headers(&buffer[..end + 4], &mut lines) {
        Ok(httparse::Status::Complete((length, lines))) if length == end + 4 && end <= spare => {
            let mut map = HeaderMap::with_capacity(lines.len());
            for line in lines {
                let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Malformed)?;
                let value = HeaderValue::from_bytes(line.value).map_err(|_| Malformed)?;
                map.append(name, value);
            }
            Ok(Some((length, map)))
        }
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `coded`, given in pieces of `piece` bytes: what came, and what is left over.
    fn decode(coded: &[u8], piece: usize) -> Result<(Vec<u8>, HeaderMap, Vec<u8>), Malformed> {
        let (mut chunked, mut buffer) = (Chunked::new(), BytesMut::new());
        let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
        let mut pieces = coded.chunks(piece);
        loop {
            match chunked.next(&mut buffer)? {
                Step::Data(data) => body.extend_from_slice(&data),
                Step::Trailers(lines) => trailers = lines,
                Step::More => match pieces.next() {
                    Some(more) => buffer.extend_from_slice(more),
                    None => return Err(Malformed),
                },
                Step::End => break,
            }
        }
        buffer.extend_from_slice(&pieces.collect::<Vec<_>>().concat());
        Ok((body, trailers, buffer.to_vec()))
    }

    #[test]
    fn what_was_coded_comes_out_however_it_is_cut() {
        let coded = b"4\r\nWiki\r\n0006;a=\"b\"\r\npedia \r\nE ;x\r\nin \r\n\r\nchunks.\r\n0\r\nx-sum: 1\r\n\r\nGET /";
        for piece in 1..coded.len() {
            let (body, trailers, rest) = decode(coded, piece).unwrap();
            assert_eq!(body, b"Wikipedia in \r\n\r\nchunks.", "in pieces of {piece}");
            assert_eq!(trailers["x-sum"], "1");
            assert_eq!(rest, b"GET /");
        }
    }

    #[test]
    fn the_end_is_known_with_the_last_bytes_if_it_is_at_hand() {
        let mut chunked = Chunked::new();
        let step = chunked.next(&mut BytesMut::from("2\r\nab\r\n0\r\n\r\n"));
        assert_eq!(step, Ok(Step::Data(Bytes::from("ab"))));
        assert!(chunked.is_end());
    }

    #[test]
    fn what_two_readers_could_take_for_two_things_is_refused() {
        for coded in [
            "\r\n",
            "g\r\n",
            "+1\r\na\r\n",
            "-1\r\n",
            "0x1\r\na\r\n",
            " 1\r\na\r\n",
            "1\na\r\n0\r\n\r\n",
            "1\r\na\n0\r\n\r\n",
            "1\r\nab\r\n0\r\n\r\n",
            "1\r\na0\r\n\r\n",
            "1 2\r\na\r\n0\r\n\r\n",
            "1;a\rb\r\na\r\n0\r\n\r\n",
            "1;a\n\r\na\r\n0\r\n\r\n",
            "1;a\0b\r\na\r\n0\r\n\r\n",
            "1\x0c;a\r\na\r\n0\r\n\r\n",
            "1\x0b;a\r\na\r\n0\r\n\r\n",
            "1 \r\na\r\n0\r\n\r\n",
            "0\r\nx: 1\ny: 2\r\n\r\n",
            "0\r\nx: 1\n\r\n\r\n",
            "0\r\n\nx: 1\r\n\r\n",
            "0\r\nx: 1\r\n folded\r\n\r\n",
            "10000000000000000\r\n",
            "0\r\nbad name: 1\r\n\r\n",
            "0\r\nx : 1\r\n\r\n",
            "0\r\n folded\r\n\r\n",
        ] {
            for piece in [1, coded.len()] {
                assert!(decode(coded.as_bytes(), piece).is_err(), "{coded:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded_over_the_whole_body() {
        let chunk = format!("1;{}\r\na\r\n", "e".repeat(1000));
        let few = chunk.repeat(16) + "0\r\n\r\n";
        assert_eq!(decode(few.as_bytes(), 4096).unwrap().0.len(), 16);
        let many = chunk.repeat(17) + "0\r\n\r\n";
        assert!(decode(many.as_bytes(), 4096).is_err());
        let endless = format!("1;{}", "e".repeat(SPARE + 1));
        let mut buffer = BytesMut::from(endless.as_str());
        assert_eq!(Chunked::new().next(&mut buffer), Err(Malformed));
        let mut buffer = BytesMut::from(format!("0\r\nx: {}", "e".repeat(SPARE)).as_str());
        assert_eq!(Chunked::new().next(&mut buffer), Err(Malformed));
    }
}
