//! A raw HTTP/1.1 client: it sends what it is told and reads strictly.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::{Buf, Bytes, BytesMut};

use crate::support::message::{Answer, Ask, Length};

/// One connection.
pub(crate) struct Http1 {
    stream: TcpStream,
    buffer: BytesMut,
    framing: Framing,
    /// Reads of the socket that gave something.
    pub(crate) reads: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Ended,
    Chunked,
    Length(usize),
    UntilClose,
}

impl Http1 {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: BytesMut::new(), framing: Framing::Ended, reads: 0 }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the proxy reads");
    }

    /// One request and its answer.
    pub(crate) fn ask(&mut self, ask: &Ask) -> Answer {
        self.send(ask);
        self.answer(ask)
    }

    /// A request, its body included.
    pub(crate) fn send(&mut self, ask: &Ask) {
        self.send_head(ask);
        for piece in &ask.pieces {
            self.send_piece(ask, piece);
        }
        self.send_end(ask);
    }

    pub(crate) fn send_head(&mut self, ask: &Ask) {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: localhost\r\n", ask.method, ask.target);
        for (name, value) in &ask.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        match ask.length {
            Length::None => {}
            Length::Known => {
                head.extend(["content-length: ", &ask.body_len().to_string(), "\r\n"]);
            }
            Length::Unknown => head.push_str("transfer-encoding: chunked\r\n"),
        }
        head.push_str("\r\n");
        self.write(head.as_bytes());
    }

    pub(crate) fn send_piece(&mut self, ask: &Ask, piece: &[u8]) {
        if ask.length == Length::Unknown && !piece.is_empty() {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            self.write(&chunk);
        } else {
            self.write(piece);
        }
    }

    pub(crate) fn send_end(&mut self, ask: &Ask) {
        if ask.length == Length::Unknown {
            let mut end = "0\r\n".to_owned();
            for (name, value) in &ask.trailers {
                end.extend([name, ": ", value, "\r\n"]);
            }
            self.write(format!("{end}\r\n").as_bytes());
        }
    }

    /// The answer to `ask`, to its end.
    pub(crate) fn answer(&mut self, ask: &Ask) -> Answer {
        let mut answer = self.head(ask);
        while let Some(piece) = self.piece(&mut answer) {
            answer.pieces.push(piece);
        }
        answer
    }

    /// The answer's final head.
    pub(crate) fn head(&mut self, ask: &Ask) -> Answer {
        let mut answer = Answer::default();
        loop {
            let (status, headers) = self.one_head();
            if (100..200).contains(&status) {
                answer.interim.push(status);
                continue;
            }
            (answer.status, answer.headers) = (status, headers);
            break;
        }
        let length = answer.header("content-length").map(|text| text.parse().expect("a length"));
        let chunked = answer.header("transfer-encoding").is_some();
        assert!(length.is_none() || !chunked, "two framings: {answer:?}");
        self.framing = match length {
            _ if ask.method == "HEAD" || matches!(answer.status, 204 | 304) => Framing::Ended,
            Some(length) => Framing::Length(length),
            None if chunked => Framing::Chunked,
            None => Framing::UntilClose,
        };
        answer
    }

    /// Reads an interim answer and nothing else.
    pub(crate) fn read_interim(&mut self, expected: u16) {
        assert_eq!(self.one_head().0, expected);
    }

    fn one_head(&mut self) -> (u16, Vec<(String, String)>) {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let status = lines[0].strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let status = status.and_then(|digits| digits.parse().ok()).expect("a status line");
        let field = |line: &String| {
            let (name, value) = line.split_once(':').expect("a field line");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        (status, lines[1..].iter().map(field).collect())
    }

    /// The body's next piece: a chunk, or what a read gave. `None` is its clean end, with which
    /// trailers come.
    pub(crate) fn piece(&mut self, answer: &mut Answer) -> Option<Bytes> {
        match self.framing {
            Framing::Ended | Framing::Length(0) => None,
            Framing::Chunked => {
                let size = usize::from_str_radix(&self.line(), 16).expect("a chunk's size");
                if size == 0 {
                    self.trailers(answer);
                    return None;
                }
                self.fill(size + 2);
                let piece = self.buffer.split_to(size).freeze();
                assert_eq!(&self.buffer[..2], b"\r\n");
                self.buffer.advance(2);
                Some(piece)
            }
            Framing::Length(left) => {
                self.fill(1);
                let piece = self.buffer.split_to(left.min(self.buffer.len())).freeze();
                self.framing = Framing::Length(left - piece.len());
                Some(piece)
            }
            Framing::UntilClose => {
                if self.buffer.is_empty() && self.read() == 0 {
                    return None;
                }
                Some(self.buffer.split().freeze())
            }
        }
    }

    fn trailers(&mut self, answer: &mut Answer) {
        self.framing = Framing::Ended;
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else { break };
            answer.trailers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// Asserts that the proxy closes, and that nothing came before.
    pub(crate) fn assert_closed(&mut self) {
        assert!(self.buffer.is_empty(), "more came: {:?}", self.buffer);
        assert_eq!(self.read(), 0, "more came: {:?}", self.buffer);
    }

    /// Bytes that were read and are not part of anything yet.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer
    }

    /// Whether anything has come that was not read.
    pub(crate) fn has_more(&self) -> bool {
        self.stream.set_nonblocking(true).expect("can be set");
        let came = self.stream.peek(&mut [0]).is_ok();
        self.stream.set_nonblocking(false).expect("can be set");
        came || !self.buffer.is_empty()
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.split_to(end);
                self.buffer.advance(2);
                return String::from_utf8_lossy(&line).into_owned();
            }
            assert!(self.read() > 0, "the connection ended within a line: {:?}", self.buffer);
        }
    }

    fn fill(&mut self, len: usize) {
        while self.buffer.len() < len {
            assert!(self.read() > 0, "the connection ended within the body");
        }
    }

    fn read(&mut self) -> usize {
        let mut chunk = vec![0; 64 * 1024];
        let read = self.stream.read(&mut chunk).expect("bytes, or a clean end");
        self.reads += usize::from(read > 0);
        self.buffer.extend_from_slice(&chunk[..read]);
        read
    }
}
