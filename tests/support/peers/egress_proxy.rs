//! An HTTP proxy by hand: it opens ways by CONNECT, wherever to, and keeps what it was asked.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use super::raw_upstream::serve;

/// What a proxy does with CONNECT.
#[derive(Clone, Copy)]
pub(crate) enum Does {
    /// Leads each to this address, whatever name was asked for.
    Leads(SocketAddr),
    /// Answers with these bytes and closes.
    Answers(&'static str),
    /// Says nothing.
    Waits,
}

/// A proxy. Runs until the test process ends.
pub(crate) struct EgressProxy {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl EgressProxy {
    pub(crate) fn start(does: Does) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let asks = Arc::clone(&asked);
        let address = serve(move |stream| {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0; 1];
                if !matches!(stream.read(&mut byte), Ok(1)) {
                    return;
                }
                head.push(byte[0]);
            }
            asks.lock().expect("no panic").push(String::from_utf8(head).expect("text"));
            match does {
                Does::Leads(to) => lead(stream, to),
                Does::Answers(text) => drop(stream.write_all(text.as_bytes())),
                Does::Waits => drop(stream.read(&mut [0; 1])),
            }
        });
        Self { address, asked }
    }

    /// The heads of what it was asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// The answer comes in pieces, and with lines of its own.
fn lead(stream: &mut TcpStream, to: SocketAddr) {
    let Ok(upstream) = TcpStream::connect(to) else {
        let _gone = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
        return;
    };
    stream.set_nodelay(true).expect("a socket");
    for piece in ["HTTP/1.1 200 Connection", " established\r\nvia: a test\r\n\r", "\n"] {
        if stream.write_all(piece.as_bytes()).is_err() {
            return;
        }
    }
    pump(stream.try_clone().expect("a socket"), upstream);
}

/// Carries bytes both ways until both ends are done.
pub(crate) fn pump(near: TcpStream, far: TcpStream) {
    let (mut near_out, mut far_in) =
        (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"));
    let (mut near, mut far) = (near, far);
    let down = std::thread::spawn(move || {
        let _cut = std::io::copy(&mut far_in, &mut near_out);
        let _gone = near_out.shutdown(Shutdown::Write);
    });
    let _cut = std::io::copy(&mut near, &mut far);
    let _gone = far.shutdown(Shutdown::Write);
    let _ended = down.join();
}
