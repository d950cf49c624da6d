//! The chunked coding of a body, taken off (RFC 9112, section 7.1).

mod extension;

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
pub struct Malformed;

/// What the bytes at hand are.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A part of the body.
    Data(Bytes),
    /// The trailers, after all of the body.
    Trailers(HeaderMap),
    /// Nothing whole: more must be read.
    More,
    /// The end.
    End,
}

/// A body of which so much was taken off.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    spare: usize,
    /// Trailer lines that may come.
    lines: usize,
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
    /// A client's.
    pub fn of_request() -> Self {
        Self { state: State::Size, spare: SPARE, lines: TRAILERS }
    }

    /// An upstream's, whose trailers may have so many bytes and lines.
    pub fn of_response(bytes: usize, lines: usize) -> Self {
        Self { state: State::Size, spare: bytes.max(SPARE), lines }
    }

    /// All of it was taken.
    pub fn is_end(&self) -> bool {
        self.state == State::End
    }

    /// All of the body was taken, and what is in `buffer` is more of its trailers than may come.
    pub fn trails_too_much(&self, buffer: &[u8]) -> bool {
        let lines = || memchr::memchr_iter(b'\n', buffer).count();
        self.state == State::Trailers && (buffer.len() > self.spare || lines() > self.lines)
    }

    /// Takes the next part from the front of `buffer`. What is wrong is not taken, and found again.
    ///
    /// # Errors
    /// The coding is not valid, or extensions or trailers are more than may come.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Step, Malformed> {
        loop {
            match self.state {
                State::Data(left) if buffer.is_empty() => {
                    debug_assert!(left > 0, "a chunk's last byte was followed by its end");
                    return Ok(Step::More);
                }
                State::Data(left) => return Ok(Step::Data(self.data(left, buffer))),
                State::Trailers => match trailers(buffer, self.spare, self.lines)? {
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

/// The length of the line that begins a chunk, the chunk's size, and what its extensions spent.
///
/// No byte behind the bound is looked at: how much of it came along with the others must not matter.
fn size(buffer: &[u8], spare: usize) -> Result<Option<(usize, u64, usize)>, Malformed> {
    let digits = buffer.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits > DIGITS || (digits == 0 && !buffer.is_empty()) {
        return Err(Malformed);
    }
    let rest = &buffer[digits..];
    let longest = spare + b"\r\n".len();
    let Some(end) = memchr::memchr(b'\n', &rest[..rest.len().min(longest)]) else {
        let plausible = rest.first().is_none_or(|byte| b"\r; \t".contains(byte));
        return if plausible && rest.len() < longest { Ok(None) } else { Err(Malformed) };
    };
    let extensions = rest[..end].strip_suffix(b"\r").ok_or(Malformed)?;
    if extensions.len() > spare || !extension::are_valid(extensions) {
        return Err(Malformed);
    }
    let text = std::str::from_utf8(&buffer[..digits]).map_err(|_| Malformed)?;
    let size = u64::from_str_radix(text, 16).map_err(|_| Malformed)?;
    Ok(Some((digits + end + 1, size, extensions.len())))
}

/// The length of the trailers with their empty line, and the trailers. No byte behind the bound is looked
/// at, as with [`size`].
fn trailers(
    buffer: &[u8],
    spare: usize,
    most: usize,
) -> Result<Option<(usize, HeaderMap)>, Malformed> {
    if buffer.starts_with(b"\r\n") {
        return Ok(Some((2, HeaderMap::new())));
    }
    let longest = spare + b"\r\n\r\n".len();
    let within = &buffer[..buffer.len().min(longest)];
    // The parser would take a line that ends without CR, which is one line to other readers.
    if memchr::memchr_iter(b'\n', within).any(|at| at == 0 || buffer[at - 1] != b'\r') {
        return Err(Malformed);
    }
    let Some(end) = memchr::memmem::find(within, b"\r\n\r\n") else {
        return if buffer.len() < longest { Ok(None) } else { Err(Malformed) };
    };
    let mut usual = [httparse::EMPTY_HEADER; TRAILERS];
    let mut many = Vec::new();
    let room = if most <= TRAILERS {
        &mut usual[..most]
    } else {
        many.resize(most, httparse::EMPTY_HEADER);
        &mut many[..]
    };
    match httparse::parse_headers(&buffer[..end + 4], room) {
        Ok(httparse::Status::Complete((length, lines))) if length == end + 4 => {
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
mod splits;
#[cfg(test)]
mod tests;
