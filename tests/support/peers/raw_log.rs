//! An HTTP/1.1 upstream by hand that keeps what it was asked, read as strictly as it can be: a message
//! that can be read in two ways is kept as a fault.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

/// A request that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) body: Vec<u8>,
}

/// What came.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) asked: Vec<Asked>,
    /// Requests that began, whether or not they came to their end.
    pub(crate) heads: usize,
    pub(crate) faults: Vec<String>,
}

/// The upstream. Its answers are `200` with the request's target as their body. Runs until the test
/// process ends.
pub(crate) struct RawLog {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Log>>,
}

impl RawLog {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let log = Arc::new(Mutex::new(Log::default()));
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, log) = (stream.expect("a connection"), Arc::clone(&shared));
                std::thread::spawn(move || Connection { stream, ahead: Vec::new(), log }.serve());
            }
        });
        Self { address, log }
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no panic")
    }
}

struct Connection {
    stream: TcpStream,
    ahead: Vec<u8>,
    log: Arc<Mutex<Log>>,
}

impl Connection {
    fn serve(mut self) {
        while let Some(head) = self.until(b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&head).into_owned();
            self.log().heads += 1;
            let line = head.lines().next().unwrap_or_default().to_owned();
            let Some(body) = self.body(&head) else { return };
            let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
            self.log().asked.push(Asked { line, body });
            let length = target.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{target}");
            if self.stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no panic")
    }

    /// `None` if the connection broke off, or nobody can say where the body ends.
    fn body(&mut self, head: &str) -> Option<Vec<u8>> {
        let lines = |name: &str| {
            let named = head.lines().filter_map(|line| line.split_once(':'));
            let named = named.filter(|(is, _)| is.eq_ignore_ascii_case(name));
            named.map(|(_, value)| value.trim().to_owned()).collect::<Vec<_>>()
        };
        let (lengths, codings) = (lines("content-length"), lines("transfer-encoding"));
        match (&lengths[..], &codings[..]) {
            ([], []) => Some(Vec::new()),
            ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.take(length.parse().ok()?)
            }
            ([], [coding]) if coding == "chunked" => self.chunks(),
            _ => {
                self.log().faults.push(head.to_owned());
                None
            }
        }
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n")?;
            let text = std::str::from_utf8(&line[..line.len() - 2]).ok();
            let Some(size) = text.and_then(|text| usize::from_str_radix(text, 16).ok()) else {
                self.log().faults.push(format!("a chunk of {:?}", String::from_utf8_lossy(&line)));
                return None;
            };
            body.extend(self.take(size)?);
            if self.take(2)? != b"\r\n" {
                self.log().faults.push("a chunk that is longer than it says".to_owned());
                return None;
            }
            if size == 0 {
                return Some(body);
            }
        }
    }

    fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.ahead.windows(end.len()).position(|window| window == end) {
                return Some(self.ahead.drain(..at + end.len()).collect());
            }
            self.fill()?;
        }
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.ahead.len() < length {
            self.fill()?;
        }
        Some(self.ahead.drain(..length).collect())
    }

    fn fill(&mut self) -> Option<()> {
        let mut chunk = [0; 4096];
        let read = self.stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        self.ahead.extend_from_slice(&chunk[..read]);
        Some(())
    }
}
