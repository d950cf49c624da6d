//! The client: one connection on a plain socket that nobody polls, HTTP/1.1 or HTTP/2 in clear.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::frames::{self, Block, Credit};
use crate::socket::Socket;
use crate::texts;

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    Http1,
    Http2,
}

/// What has come of the answer to the newest request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The head is here, and its status is 200.
    pub begun: bool,
    pub body: Vec<u8>,
    pub ended: bool,
}

pub struct Client {
    socket: Socket,
    speech: Speech,
    read: Vec<u8>,
    answer: Answer,
    head: Block,
    stream: u32,
    credit: Credit,
}

impl Client {
    pub fn connect(speech: Speech, address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(TcpStream::connect(address)?)?;
        let mut lines = vec![(":path", texts::PATH), (":authority", "localhost")];
        lines.extend(texts::lines(texts::REQUEST));
        // POST and http stand in the static table (RFC 7541, appendix A).
        let head = Block::new(&[0x83, 0x86], lines);
        let (read, answer, credit) = (Vec::new(), Answer::default(), Credit::default());
        let mut client = Self { socket, speech, read, answer, head, stream: 0, credit };
        if speech == Speech::Http2 {
            let mut hello = frames::PREFACE.to_vec();
            frames::put_hello(&mut hello);
            client.socket.write_all(&hello)?;
        }
        Ok(client)
    }

    /// Sends a request in one segment.
    pub fn ask(&mut self) -> io::Result<()> {
        self.answer = Answer::default();
        let prompt = texts::prompt();
        let length = prompt.len().to_string();
        let mut out = Vec::new();
        match self.speech {
            Speech::Http1 => {
                write!(out, "POST {} HTTP/1.1\r\nhost: localhost\r\n", texts::PATH)?;
                for (name, value) in texts::lines(texts::REQUEST) {
                    write!(out, "{name}: {value}\r\n")?;
                }
                write!(out, "content-length: {length}\r\n\r\n")?;
                out.extend_from_slice(&prompt);
            }
            Speech::Http2 => {
                self.stream = if self.stream == 0 { 1 } else { self.stream + 2 };
                self.head.put(&mut out, 0, self.stream, ("content-length", &length));
                frames::put(&mut out, frames::DATA, frames::END_STREAM, self.stream, &prompt);
            }
        }
        self.socket.write_all(&out)
    }

    /// Leaves in the middle: HTTP/1.1 can only close its connection, HTTP/2 resets the stream.
    pub fn leave(mut self) -> io::Result<Option<Self>> {
        if self.speech == Speech::Http1 {
            return Ok(None);
        }
        let (mut out, cancel) = (Vec::new(), 8_u32.to_be_bytes());
        frames::put(&mut out, frames::RST_STREAM, 0, self.stream, &cancel);
        self.socket.write_all(&out)?;
        Ok(Some(self))
    }

    /// Reads what there is, without waiting; what has come so far of the newest answer.
    pub fn answer(&mut self) -> io::Result<&Answer> {
        self.socket.waits(false)?;
        while self.receive()? {}
        Ok(&self.answer)
    }

    /// Waits until the newest answer is as wanted.
    pub fn wait(&mut self, wanted: impl Fn(&Answer) -> bool) -> io::Result<()> {
        self.socket.waits(true)?;
        while !wanted(&self.answer) {
            self.receive()?;
        }
        Ok(())
    }

    /// The body's bytes so far, forgotten.
    pub fn forget_body(&mut self) {
        self.answer.body.clear();
    }

    /// Reads once; false if nothing was there.
    fn receive(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16 * 1024];
        match self.socket.read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.read.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        match self.speech {
            Speech::Http1 => self.take_http1()?,
            Speech::Http2 => self.take_http2()?,
        }
        Ok(true)
    }

    fn take_http1(&mut self) -> io::Result<()> {
        if !self.answer.begun {
            let Some(end) = find(&self.read, b"\r\n\r\n") else { return Ok(()) };
            if !self.read.starts_with(b"HTTP/1.1 200 ") {
                return Err(io::Error::other(String::from_utf8_lossy(&self.read).into_owned()));
            }
            self.read.drain(..end + 4);
            self.answer.begun = true;
        }
        // Chunks (RFC 9112, section 7.1), each taken when it is whole.
        while let Some(line) = find(&self.read, b"\r\n") {
            let size = str::from_utf8(&self.read[..line]).map_err(io::Error::other)?;
            let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
            let Some(data) = self.read.get(line + 2..line + 2 + size + 2) else { break };
            self.answer.body.extend_from_slice(&data[..size]);
            self.answer.ended = size == 0;
            self.read.drain(..line + 2 + size + 2);
        }
        Ok(())
    }

    fn take_http2(&mut self) -> io::Result<()> {
        while let Some(frame) = frames::take(&mut self.read) {
            let mut out = Vec::new();
            frames::put_reply(&mut out, &frame);
            self.credit.put(&mut out, &frame);
            self.socket.write_all(&out)?;
            if frame.stream != self.stream || frame.stream == 0 {
                continue;
            }
            match frame.kind {
                // 200 is entry 8 of the static table.
                frames::HEADERS if frame.payload.first() == Some(&0x88) => self.answer.begun = true,
                frames::DATA => self.answer.body.extend_from_slice(&frame.payload),
                _ => return Err(io::Error::other(format!("{frame:?}"))),
            }
            self.answer.ended |= frame.ends();
        }
        Ok(())
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
