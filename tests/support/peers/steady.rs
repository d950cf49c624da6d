//! Clients as a balancer or an SDK is one: each keeps its connection, posts on it again and again, and looks for
//! a close before it does, as connection pools do. What then goes wrong is lost.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::fixture::PATIENCE;

const BODY: &str = r#"{"stream":false}"#;

/// All of them.
pub(crate) struct Steady {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answered: AtomicU64,
    lost: Mutex<Vec<String>>,
}

impl Steady {
    /// So many clients of one address, each with a pause of its own between two requests, up to this.
    pub(crate) fn at(address: SocketAddr, clients: u32, pause: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let client = |nth: u32| {
            let (shared, pause) = (Arc::clone(&shared), pause * nth / clients);
            thread::spawn(move || shared.ask_on(address, pause))
        };
        let clients = (0..clients).map(client).collect();
        Self { shared, clients }
    }

    /// Waits until so many more were answered; sooner where one was lost.
    pub(crate) fn more(&self, more: u64) {
        let (wanted, began) = (self.answered() + more, Instant::now());
        while self.answered() < wanted && self.lost().is_empty() {
            assert!(
                began.elapsed() < PATIENCE * 3,
                "{} of {wanted} were answered",
                self.answered()
            );
            thread::park_timeout(Duration::from_millis(2));
        }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    fn lost(&self) -> Vec<String> {
        self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends them; how many were answered. None may be lost.
    pub(crate) fn end(self) -> u64 {
        self.shared.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client does not panic");
        }
        let answered = self.shared.answered.load(Ordering::Relaxed);
        let lost = self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = &lost[..lost.len().min(3)];
        assert!(lost.is_empty(), "{} lost, {answered} answered: {first:?}", lost.len());
        answered
    }
}

impl Shared {
    fn ask_on(&self, address: SocketAddr, pause: Duration) {
        let mut kept = None;
        while !self.stop.load(Ordering::Relaxed) {
            let reused = kept.take().filter(is_open);
            let again = reused.is_some();
            match reused.map_or_else(|| TcpStream::connect(address), Ok).and_then(ask) {
                Ok((200, stream)) => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    kept = stream;
                }
                Ok((status, _)) => self.lose(format!("status {status}, reused: {again}")),
                Err(error) => self.lose(format!("{error}, reused: {again}")),
            }
            thread::park_timeout(pause);
        }
    }

    fn lose(&self, why: String) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(why);
    }
}

/// Nothing is there to be read: no end, and no answer that nobody asked for.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("it can be set");
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("it can be set");
    peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// The status, and the connection where it stays.
fn ask(mut stream: TcpStream) -> std::io::Result<(u16, Option<TcpStream>)> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let length = BODY.len();
    let head = format!("POST /v1/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}");
    stream.write_all(format!("{head}\r\n\r\n{BODY}").as_bytes())?;
    let (mut text, mut part) = (Vec::new(), [0; 4096]);
    let (head, begun) = loop {
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Err(std::io::Error::new(
                ErrorKind::UnexpectedEof,
                format!("closed after {} bytes", text.len()),
            ));
        }
        text.extend_from_slice(&part[..read]);
        if let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") {
            break (
                String::from_utf8_lossy(&text[..end + 4]).to_lowercase(),
                text.split_off(end + 4),
            );
        }
    };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut rest = vec![0; length.saturating_sub(begun.len())];
    stream.read_exact(&mut rest)?;
    let stays = !head.contains("\r\nconnection: close\r\n");
    Ok((status, stays.then_some(stream)))
}
