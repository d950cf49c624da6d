//! An upstream by hand, for what a library would never send: whole answers with their faults in one
//! TCP segment.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use firstbyte::config::{Config, Protocol};

/// The bytes that answer a request; the connection is closed after them if `close`.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) close: bool,
}

/// Serves HTTP/1.1: `reply` says what answers a path. Runs until the test process ends.
pub(crate) fn http1(reply: impl Fn(&str) -> Reply + Clone + Send + 'static) -> SocketAddr {
    serve(move |stream| {
        let mut read = Vec::new();
        while let Some(end) = head_end(stream, &mut read) {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            read.drain(..end);
            let path = head.split(' ').nth(1).unwrap_or_default();
            let reply = reply(path);
            if stream.write_all(&reply.bytes).is_err() || reply.close {
                return;
            }
        }
    })
}

/// Serves HTTP/2 in clear: `reply` says what answers the n-th request (from 0), given its stream.
/// Runs until the test process ends.
pub(crate) fn http2(reply: impl Fn(usize, u32) -> Reply + Clone + Send + 'static) -> SocketAddr {
    let asked = Arc::new(AtomicUsize::new(0));
    http2_frames(&frame(4, 0, 0, b""), move |kind, flags, stream, payload| {
        match (kind, flags & 1) {
            (4, 0) => Reply { bytes: frame(4, 1, 0, b""), close: false },
            (6, 0) => Reply { bytes: frame(6, 1, 0, payload), close: false },
            (0 | 1, 1) => reply(asked.fetch_add(1, Ordering::Relaxed), stream),
            _ => Reply { bytes: Vec::new(), close: false },
        }
    })
}

/// Serves HTTP/2 in clear, frame by frame: `hello` comes first on each connection, and `reply`, of
/// which each connection has its own, is given each frame's type, flags, stream and payload. Runs
/// until the test process ends.
pub(crate) fn http2_frames(
    hello: &[u8],
    reply: impl FnMut(u8, u8, u32, &[u8]) -> Reply + Clone + Send + 'static,
) -> SocketAddr {
    let hello = hello.to_owned();
    serve(move |stream| {
        let mut reply = reply.clone();
        let mut preface = [0; 24];
        if stream.read_exact(&mut preface).is_err() || stream.write_all(&hello).is_err() {
            return;
        }
        while let Some((kind, flags, number, payload)) = read_frame(stream) {
            let reply = reply(kind, flags, number, &payload);
            if stream.write_all(&reply.bytes).is_err() || reply.close {
                return;
            }
        }
    })
}

/// Points a configuration at such an upstream.
pub(crate) fn lead_to(config: &mut Config, address: SocketAddr, protocol: Protocol) {
    let upstream = &mut config.upstreams[0];
    upstream.host = address.ip().to_string();
    upstream.port = address.port();
    upstream.protocol = protocol;
}

/// An HTTP/2 frame (RFC 9113, section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Serves each connection in a thread of its own. Runs until the test process ends.
pub(crate) fn serve(connection: impl Fn(&mut TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, connection) = (stream.expect("a connection"), connection.clone());
            std::thread::spawn(move || connection(&mut stream));
        }
    });
    address
}

fn head_end(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<usize> {
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            return Some(end + 4);
        }
        let mut chunk = [0; 4096];
        let len = stream.read(&mut chunk).ok().filter(|len| *len > 0)?;
        read.extend_from_slice(&chunk[..len]);
    }
}

/// A frame's type, flags, stream and payload. `None` at the connection's end.
pub(crate) fn read_frame(stream: &mut TcpStream) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).ok()?;
    let number = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
    Some((head[3], head[4], number, payload))
}
