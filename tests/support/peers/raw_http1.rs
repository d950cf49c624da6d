//! An HTTP/1.1 client by hand: it sees every byte, and tells an answer that ended from one that was
//! cut.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::fixture::{Fixture, PATIENCE};

/// An answer as far as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Its framing was kept to the end.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection with what was read ahead.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    ahead: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(fixture: &Fixture) -> Self {
        Self { stream: fixture.connect(), ahead: Vec::new() }
    }

    /// To any address.
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the proxy listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Self { stream, ahead: Vec::new() }
    }

    /// On a connection that was opened, and perhaps asked on, already.
    pub(crate) fn of(stream: TcpStream) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    /// With a receive buffer of a few kilobytes, so that a client that does not read is soon felt.
    pub(crate) fn narrow(fixture: &Fixture) -> Self {
        Self::narrow_to(fixture.address())
    }

    /// The same to any address.
    pub(crate) fn narrow_to(address: SocketAddr) -> Self {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a buffer's size can be set");
        socket.connect(&address.into()).expect("the proxy listens");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Self { stream, ahead: Vec::new() }
    }

    /// Writes a request with a body; `GET` where that is empty.
    pub(crate) fn ask(&mut self, path: &str, body: &[u8]) {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request).expect("the proxy reads");
    }

    /// Reads one answer, as far as it comes. `None` if the connection ended before its head.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let head = self.head()?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut body = Vec::new();
        let whole = if status == 204 {
            true
        } else if line(&head, "transfer-encoding").is_some() {
            self.chunks(&mut body)
        } else if let Some(length) = line(&head, "content-length") {
            self.take(length.parse().expect("a number"), &mut body)
        } else {
            self.rest(&mut body)
        };
        Some(Answer { status, body, whole })
    }

    /// A head with its empty line; interim ones are passed over.
    pub(crate) fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
                let head = String::from_utf8(head).expect("text");
                if !head.starts_with("HTTP/1.1 1") {
                    return Some(head);
                }
            } else if !self.fill() {
                return None;
            }
        }
    }

    /// Reads until `needle` is there; false if the connection ended first.
    pub(crate) fn wait_for(&mut self, needle: &str) -> bool {
        while !self.ahead.windows(needle.len()).any(|window| window == needle.as_bytes()) {
            if !self.fill() {
                return false;
            }
        }
        true
    }

    /// Bytes that were read and belong to nothing yet.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.ahead
    }

    /// Exactly so many bytes.
    pub(crate) fn read_exact(&mut self, bytes: &mut [u8]) {
        let mut body = Vec::new();
        assert!(self.take(bytes.len(), &mut body), "the connection ended after {body:?}");
        bytes.copy_from_slice(&body);
    }

    /// The connection ended, and nothing came before that.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.ahead.is_empty() && !self.fill()
    }

    /// Chunks, to the last; false if the connection ended first.
    pub(crate) fn chunks(&mut self, body: &mut Vec<u8>) -> bool {
        loop {
            let Some(size) = self.line() else { return false };
            let size = usize::from_str_radix(&size, 16).expect("a chunk's size");
            let mut end = Vec::new();
            if size == 0 {
                // Trailers are not asked for in these tests.
                return self.take(2, &mut end) && end == b"\r\n";
            }
            if !self.take(size, body) || !self.take(2, &mut end) {
                return false;
            }
            assert_eq!(end, b"\r\n", "a chunk ends where its size says");
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..end + 2).take(end).collect();
                return Some(String::from_utf8(line).expect("text"));
            }
            if !self.fill() {
                return None;
            }
        }
    }

    fn take(&mut self, len: usize, body: &mut Vec<u8>) -> bool {
        let mut left = len;
        loop {
            let now = left.min(self.ahead.len());
            body.extend(self.ahead.drain(..now));
            left -= now;
            if left == 0 {
                return true;
            }
            if !self.fill() {
                return false;
            }
        }
    }

    fn rest(&mut self, body: &mut Vec<u8>) -> bool {
        while self.fill() {}
        body.append(&mut self.ahead);
        true
    }

    /// False at the connection's end, however it came.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(len) => {
                self.ahead.extend_from_slice(&chunk[..len]);
                len > 0
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("the proxy says nothing for too long")
            }
            Err(_broken) => false,
        }
    }
}

/// A header's value, by its name in lower case.
pub(crate) fn line<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
