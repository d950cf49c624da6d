//! An HTTP/2 client in frames, for what no library would send.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::raw_upstream::frame;
use crate::support::fixture::PATIENCE;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

/// One frame that came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A connection whose preface and SETTINGS are sent.
pub(crate) struct Frames {
    pub(crate) stream: TcpStream,
    ahead: Vec<u8>,
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It did not.
    No,
    /// In order, or by a reset.
    Closed,
}

impl Frames {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the proxy listens");
        stream.set_nodelay(true).expect("nodelay can be set");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let mut frames = Self { stream, ahead: Vec::new() };
        let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        hello.extend(frame(SETTINGS, 0, 0, b""));
        assert!(frames.send(&hello), "the proxy reads");
        frames
    }

    /// `false` if the proxy takes no more.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// A POST to `path` whose body does not end with its head.
    pub(crate) fn begin(&mut self, stream: u32, path: &str) -> bool {
        self.send(&request(stream, path, 0x4))
    }

    /// The same without a body.
    pub(crate) fn ask(&mut self, stream: u32, path: &str) -> bool {
        self.send(&request(stream, path, 0x5))
    }

    /// The next frame; `None` at the end.
    pub(crate) fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let mut chunk = [0; 16 * 1024];
            let len = self.stream.read(&mut chunk).ok().filter(|len| *len > 0)?;
            self.ahead.extend_from_slice(&chunk[..len]);
        }
    }

    /// The frames up to the first of this type, it included.
    pub(crate) fn until(&mut self, kind: u8) -> Vec<Frame> {
        let mut seen = Vec::new();
        while let Some(frame) = self.read() {
            let last = frame.kind == kind;
            seen.push(frame);
            if last {
                return seen;
            }
        }
        panic!("the connection ended before a frame of type {kind}: {seen:?}");
    }

    /// Reads, as far as there is something to read at once, and says whether it ended.
    pub(crate) fn look(&mut self) -> Ended {
        self.stream.set_nonblocking(true).expect("can be set");
        let mut chunk = [0; 16 * 1024];
        let ended = loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => break Ended::Closed,
                Ok(len) => self.ahead.extend_from_slice(&chunk[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ended::No,
                Err(_) => break Ended::Closed,
            }
        };
        self.stream.set_nonblocking(false).expect("can be set");
        ended
    }

    /// Waits for the end without a word, and says after how long it came; panics if it does not.
    pub(crate) fn ends_within(&mut self, most: Duration) -> Duration {
        let begun = Instant::now();
        while self.look() == Ended::No {
            assert!(begun.elapsed() < most, "it is open after {most:?}");
            std::thread::park_timeout(Duration::from_millis(2));
        }
        begun.elapsed()
    }

    /// What came and nobody has looked at.
    pub(crate) fn unread(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.take()).collect()
    }

    fn take(&mut self) -> Option<Frame> {
        let head = self.ahead.get(..9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let payload = self.ahead.get(9..9 + length)?.to_vec();
        self.ahead.drain(..9 + length);
        Some(Frame { kind, flags, stream, payload })
    }
}

/// The reason of the last GOAWAY among them, and the last stream that it names.
pub(crate) fn goaway(frames: &[Frame]) -> Option<(u32, u32)> {
    let last = frames.iter().rfind(|frame| frame.kind == GOAWAY)?;
    let number =
        |at: usize| u32::from_be_bytes(last.payload[at..at + 4].try_into().expect("four bytes"));
    Some((number(4), number(0)))
}

/// Literals without indexing (RFC 7541, section 6.2.2), so that no table matters.
fn request(stream: u32, path: &str, flags: u8) -> Vec<u8> {
    let mut block = vec![0x83, 0x86]; // POST, http
    for (name, value) in [(4, path), (1, "proxy")] {
        block.extend([name, u8::try_from(value.len()).expect("a short value")]);
        block.extend(value.as_bytes());
    }
    frame(HEADERS, flags, stream, &block)
}

/// The last frame of its stream.
pub(crate) fn is_end(frame: &Frame) -> bool {
    matches!(frame.kind, DATA | HEADERS) && frame.flags & 1 > 0
}
