//! Peers that give as many and as small pieces as they can, without an end: upstreams and clients of
//! both protocols, by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::peers::raw_upstream::{frame, read_frame, serve};

/// Pieces that leave in one write: as fast as a peer can be.
const AT_ONCE: u16 = 1000;

/// How far a hostile peer got.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Bytes that the proxy's kernel took.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a hostile peer says on HTTP/2, given the stream.
#[derive(Clone, Copy)]
pub(crate) struct Frames {
    /// Once, when the stream is there.
    pub(crate) first: fn(u32) -> Vec<u8>,
    /// Without an end.
    pub(crate) piece: fn(u32) -> Vec<u8>,
    /// Each takes a byte of the stream's window.
    pub(crate) is_data: bool,
}

/// An upstream that answers each request with `first` and then with `piece` without an end. Runs until the
/// test process ends.
pub(crate) fn http1_upstream(first: &'static [u8], piece: &'static [u8]) -> (SocketAddr, Progress) {
    let progress = Progress::default();
    let seen = progress.clone();
    let address = serve(move |stream| {
        let mut read = Vec::new();
        while !read.windows(4).any(|four| four == b"\r\n\r\n") {
            let mut chunk = [0; 4096];
            match stream.read(&mut chunk) {
                Ok(0) | Err(_) => return,
                Ok(len) => read.extend_from_slice(&chunk[..len]),
            }
        }
        let pieces = piece.repeat(AT_ONCE.into());
        if stream.write_all(first).is_ok() {
            while write(stream, &pieces, &seen) {}
        }
    });
    (address, progress)
}

/// An upstream that reads whatever comes and never answers. Runs until the test process ends.
pub(crate) fn silent_upstream() -> SocketAddr {
    serve(|stream| while matches!(stream.read(&mut [0; 16 * 1024]), Ok(1..)) {})
}

/// The same over HTTP/2 in clear: once a request has come, these frames.
pub(crate) fn http2_upstream(frames: Frames) -> (SocketAddr, Progress) {
    let progress = Progress::default();
    let seen = progress.clone();
    let address = serve(move |stream| {
        let mut preface = [0; 24];
        if stream.read_exact(&mut preface).is_err()
            || stream.write_all(&frame(4, 0, 0, b"")).is_err()
        {
            return;
        }
        while let Some((kind, flags, number, payload)) = read_frame(stream) {
            let answer = match (kind, flags & 1) {
                (4, 0) => frame(4, 1, 0, b""),
                (6, 0) => frame(6, 1, 0, &payload),
                (1, _) => return flood(stream, number, frames, 64 * 1024, &seen),
                _ => continue,
            };
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    });
    (address, progress)
}

/// A client over HTTP/1.1: connects, sends `first`, then `piece` until the connection ends or `stop` says
/// so; what comes back is read away.
pub(crate) fn http1_client(
    address: SocketAddr,
    (first, piece): (&[u8], &[u8]),
    stop: &Arc<AtomicBool>,
    progress: &Progress,
) {
    let mut stream = connect(address);
    read_away(&stream);
    let pieces = piece.repeat(AT_ONCE.into());
    if stream.write_all(first).is_ok() {
        while !stop.load(Ordering::Relaxed) && write(&mut stream, &pieces, progress) {}
    }
    let _gone = stream.shutdown(std::net::Shutdown::Both);
}

/// The same over HTTP/2, with a `POST` of this path on stream 1.
pub(crate) fn http2_client(
    address: SocketAddr,
    (path, frames): (&str, Frames),
    stop: &Arc<AtomicBool>,
    progress: &Progress,
) {
    let mut stream = connect(address);
    let mut head = vec![0x83, 0x86, 0x01, 1, b'a', 0x04, path.len() as u8];
    head.extend_from_slice(path.as_bytes());
    let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, b"")].concat();
    if stream.write_all(&[hello, frame(1, 4, 1, &head)].concat()).is_ok() {
        let other = stream.try_clone().expect("a second handle");
        let told = Arc::clone(stop);
        let stopping = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                std::thread::park_timeout(Duration::from_millis(20));
            }
            let _gone = other.shutdown(std::net::Shutdown::Both);
        });
        flood(&mut stream, 1, frames, 64 * 1024, progress);
        drop(stopping);
    }
}

/// A client that asks for `path` over HTTP/1.1 and reads as fast as it can, until the connection ends or
/// `stop` says so.
pub(crate) fn reader(address: SocketAddr, path: &str, stop: &AtomicBool) {
    let mut stream = connect(address);
    stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout can be set");
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    if stream.write_all(request.as_bytes()).is_err() {
        return;
    }
    let mut chunk = vec![0; 256 * 1024];
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

/// Sends the frames until the connection ends. What comes back is read away, and counted where it opens
/// the stream's window, which is `window` at first.
fn flood(stream: &mut TcpStream, number: u32, frames: Frames, window: i64, progress: &Progress) {
    let room = Arc::new(AtomicI64::new(window));
    let (mut back, opened) = (stream.try_clone().expect("a second handle"), Arc::clone(&room));
    let answered = stream.try_clone().map(|mut stream| move |bytes: &[u8]| stream.write_all(bytes));
    let mut answer = answered.expect("a third handle");
    std::thread::spawn(move || {
        while let Some((kind, flags, stream, payload)) = read_frame(&mut back) {
            match (kind, flags & 1, <[u8; 4]>::try_from(&payload[..])) {
                (8, _, Ok(more)) if stream == number => {
                    opened.fetch_add(i64::from(u32::from_be_bytes(more)), Ordering::Relaxed);
                }
                (4, 0, _) => drop(answer(&frame(4, 1, 0, b""))),
                _ => {}
            }
        }
        opened.store(i64::MIN / 2, Ordering::Relaxed);
    });
    let pieces = (frames.piece)(number).repeat(AT_ONCE.into());
    if stream.write_all(&(frames.first)(number)).is_err() {
        return;
    }
    let each = if frames.is_data { i64::from(AT_ONCE) } else { 0 };
    loop {
        match room.load(Ordering::Relaxed) {
            gone if gone < i64::MIN / 4 => return,
            room if room < each => std::thread::yield_now(),
            _ if !write(stream, &pieces, progress) => return,
            _ => drop(room.fetch_sub(each, Ordering::Relaxed)),
        }
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("nodelay can be set");
    stream
}

fn read_away(stream: &TcpStream) {
    let mut stream = stream.try_clone().expect("a second handle");
    std::thread::spawn(move || while matches!(stream.read(&mut [0; 16 * 1024]), Ok(1..)) {});
}

fn write(stream: &mut TcpStream, bytes: &[u8], progress: &Progress) -> bool {
    let written = stream.write_all(bytes).is_ok();
    if written {
        progress.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }
    written
}
