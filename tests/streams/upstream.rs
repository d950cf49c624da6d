//! An upstream whose answers the test writes piece by piece, and which sees its client leave.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::support::fixture::PATIENCE;

/// Answers that no test has looked at.
const MOST: usize = 64;

/// It listens until the test process ends.
pub(crate) struct Paced {
    pub(crate) address: SocketAddr,
    answers: mpsc::Receiver<Answering>,
    asked: Arc<AtomicUsize>,
}

/// One answer under way, chunked.
pub(crate) struct Answering {
    stream: TcpStream,
    /// The request's head.
    pub(crate) head: String,
}

impl Paced {
    /// Answers each request with this content type and what the test sends.
    pub(crate) fn start(content_type: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, answers) = mpsc::sync_channel(MOST);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sender, count) = (sender.clone(), Arc::clone(&count));
                std::thread::spawn(move || serve(stream, content_type, &sender, &count));
            }
        });
        Self { address, answers, asked }
    }

    /// The answer of the next request that came.
    pub(crate) fn next(&self) -> Answering {
        self.answers.recv_timeout(PATIENCE).expect("the upstream is asked")
    }

    /// Requests so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn serve(
    mut stream: TcpStream,
    content_type: &str,
    sender: &mpsc::SyncSender<Answering>,
    count: &AtomicUsize,
) {
    let mut read = Vec::new();
    let end = loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        let mut some = [0; 4096];
        match stream.read(&mut some) {
            Ok(0) | Err(_) => return, // a warm connection that nobody used
            Ok(len) => read.extend_from_slice(&some[..len]),
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = read.split_off(end);
    while body.len() < length {
        let mut some = [0; 4096];
        match stream.read(&mut some) {
            Ok(0) | Err(_) => return,
            Ok(len) => body.extend_from_slice(&some[..len]),
        }
    }
    count.fetch_add(1, Ordering::SeqCst);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    if stream.write_all(answer.as_bytes()).is_ok() {
        let _test_is_over = sender.send(Answering { stream, head });
    }
}

impl Answering {
    /// One chunk.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        assert!(self.try_send(bytes), "the proxy is gone");
    }

    /// False where the proxy has left.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        self.stream.write_all(&chunk).is_ok()
    }

    /// The clean end.
    pub(crate) fn finish(mut self) {
        self.stream.write_all(b"0\r\n\r\n").expect("the proxy is there");
        // Until it closes: what was sent is not to be lost by a reset.
        let _closed = self.stream.shutdown(Shutdown::Write);
        let _gone = self.wait_gone();
    }

    /// An end in the middle.
    pub(crate) fn cut(self) {
        drop(self);
    }

    /// Whether the proxy closes its connection, which is how it cancels.
    pub(crate) fn wait_gone(&mut self) -> bool {
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        self.ends()
    }

    /// Whether it has done so already.
    pub(crate) fn is_gone(&mut self) -> bool {
        !self.stays(Duration::from_millis(1))
    }

    /// Whether the proxy is there for so long.
    pub(crate) fn stays(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a timeout can be set");
        !self.ends()
    }

    fn ends(&mut self) -> bool {
        let waits = |error: &std::io::Error| {
            matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
        };
        match self.stream.read(&mut [0; 16]) {
            Ok(0) => true,
            Ok(more) => panic!("{more} bytes after the request"),
            Err(error) => !waits(&error),
        }
    }
}
