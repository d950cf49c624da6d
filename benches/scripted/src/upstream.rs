//! The upstream: one HTTP/2 connection under TLS. It does nothing unless told.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use loadtest::tls::{CertificateSpec, H2, Identity};
use rustls::{ServerConfig, ServerConnection};

use crate::frames::{self, Block, Credit};
use crate::socket::Socket;
use crate::texts;

pub struct Upstream {
    listener: TcpListener,
    identity: Identity,
    tls: Arc<ServerConfig>,
    /// The newest connection; the proxy is to be configured to have one.
    link: Option<Link>,
    head: Block,
    answers: u64,
    /// Streams whose request has ended, oldest first.
    asked: VecDeque<u32>,
    reset: VecDeque<u32>,
}

struct Link {
    socket: Socket,
    tls: ServerConnection,
    read: Vec<u8>,
    greeted: bool,
    credit: Credit,
}

impl Upstream {
    pub fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let identity = Identity::generate(&CertificateSpec::default())?;
        let tls = identity.server_config(&[H2])?;
        // 200 is entry 8 of the static table (RFC 7541, appendix A).
        let head = Block::new(&[0x88], texts::lines(texts::ANSWER).collect());
        let (asked, reset) = (VecDeque::new(), VecDeque::new());
        Ok(Self { listener, identity, tls, link: None, head, answers: 0, asked, reset })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub fn ca_pem(&self) -> &str {
        self.identity.ca_pem()
    }

    /// The stream of the oldest request that is whole and was not asked for yet, without waiting.
    pub fn asked(&mut self) -> io::Result<Option<u32>> {
        self.look()?;
        Ok(self.asked.pop_front())
    }

    /// The same, waiting for it.
    pub fn wait_asked(&mut self) -> io::Result<u32> {
        loop {
            if let Some(stream) = self.asked.pop_front() {
                return Ok(stream);
            }
            let link = self.link.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            link.socket.waits(true)?;
            link.receive()?;
            self.understand()?;
        }
    }

    /// Whether the stream was reset.
    pub fn is_reset(&mut self, stream: u32) -> io::Result<bool> {
        self.look()?;
        Ok(self.reset.contains(&stream))
    }

    /// Sends the answer's head.
    pub fn head(&mut self, stream: u32) -> io::Result<()> {
        self.answers += 1;
        let id = format!("req_{:024x}", self.answers);
        let mut out = Vec::new();
        self.head.put(&mut out, 0, stream, ("x-request-id", &id));
        self.send(&out)
    }

    /// Sends DATA on these streams in one turn; the last of each ends its stream if `end`. A part may have
    /// 16 KiB at most.
    pub fn data(&mut self, streams: &[u32], parts: &[&[u8]], end: bool) -> io::Result<()> {
        let mut out = Vec::new();
        for stream in streams {
            for (at, part) in parts.iter().enumerate() {
                let flags = if end && at + 1 == parts.len() { frames::END_STREAM } else { 0 };
                frames::put(&mut out, frames::DATA, flags, *stream, part);
            }
        }
        self.send(&out)
    }

    fn send(&mut self, out: &[u8]) -> io::Result<()> {
        self.link.as_mut().ok_or(io::ErrorKind::NotConnected)?.send(out)
    }

    /// Takes what has come.
    fn look(&mut self) -> io::Result<()> {
        match self.listener.accept() {
            Ok((stream, _)) => {
                let mut tls =
                    ServerConnection::new(Arc::clone(&self.tls)).map_err(io::Error::other)?;
                // What is written leaves at once, whatever its size.
                tls.set_buffer_limit(None);
                let (socket, read) = (Socket::new(stream)?, Vec::new());
                let credit = Credit::default();
                self.link = Some(Link { socket, tls, read, greeted: false, credit });
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let Some(link) = &mut self.link else { return Ok(()) };
        link.socket.waits(false)?;
        while link.receive()? {}
        self.understand()
    }

    /// Answers what belongs to the connection itself, and keeps what was asked.
    fn understand(&mut self) -> io::Result<()> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let mut out = Vec::new();
        if !link.greeted {
            if !link.read.starts_with(frames::PREFACE) {
                return link.send(&out);
            }
            link.read.drain(..frames::PREFACE.len());
            link.greeted = true;
            frames::put_hello(&mut out);
        }
        while let Some(frame) = frames::take(&mut link.read) {
            frames::put_reply(&mut out, &frame);
            link.credit.put(&mut out, &frame);
            if frame.kind == frames::RST_STREAM {
                self.reset.push_back(frame.stream);
            } else if frame.ends() {
                self.asked.push_back(frame.stream);
            }
        }
        link.send(&out)
    }
}

impl Link {
    /// Reads once; false if nothing was there or the peer has closed.
    fn receive(&mut self) -> io::Result<bool> {
        match self.tls.read_tls(&mut self.socket) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let state = self.tls.process_new_packets().map_err(io::Error::other)?;
        let before = self.read.len();
        self.read.resize(before + state.plaintext_bytes_to_read(), 0);
        self.tls.reader().read_exact(&mut self.read[before..])?;
        Ok(true)
    }

    /// Writes these bytes and what TLS itself has to say.
    fn send(&mut self, out: &[u8]) -> io::Result<()> {
        self.tls.writer().write_all(out)?;
        self.socket.waits(true)?;
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }
}

/// For whoever waits in vain: what has come and was not asked for.
impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let greeted = self.link.as_ref().map(|link| link.greeted);
        f.debug_struct("Upstream")
            .field("greeted", &greeted)
            .field("asked", &self.asked)
            .field("reset", &self.reset)
            .finish_non_exhaustive()
    }
}
