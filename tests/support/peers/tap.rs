//! A wire between proxy and upstream that is listened to: which HTTP/2 frames the proxy sends, held
//! back for as long as a test says, as a long way would.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use firstbyte::config::{Config, Protocol};

/// `RST_STREAM` (RFC 9113, section 6.4).
pub(crate) const RST_STREAM: u8 = 3;
/// `GOAWAY` (RFC 9113, section 6.8).
pub(crate) const GOAWAY: u8 = 7;

/// A relay in clear on a port of its own. Runs until the test process ends.
#[derive(Clone, Default)]
pub(crate) struct Tap(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// How many frames of each type went up.
    kinds: Mutex<HashMap<u8, usize>>,
    held: Mutex<bool>,
    released: Condvar,
}

impl Tap {
    /// Puts itself in front of the configured upstream, which speaks HTTP/2 in clear.
    pub(crate) fn in_front_of(config: &mut Config) -> Self {
        let tap = Self::default();
        let upstream = SocketAddr::from(([127, 0, 0, 1], config.upstreams[0].port));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        config.upstreams[0].port = listener.local_addr().expect("an address").port();
        config.upstreams[0].protocol = Protocol::Http2;
        let listening = tap.clone();
        std::thread::spawn(move || {
            for proxy in listener.incoming() {
                let proxy = proxy.expect("a connection");
                // Refused once the test is over.
                let Ok(upstream) = TcpStream::connect(upstream) else { return };
                listening.join(&proxy, &upstream).expect("sockets can be shared");
            }
        });
        tap
    }

    /// Nothing goes up from now on. What comes down goes on.
    pub(crate) fn hold(&self) {
        *self.0.held.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// All that was held goes up.
    pub(crate) fn release(&self) {
        *self.0.held.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.released.notify_all();
    }

    /// How many frames of a type the proxy has sent.
    pub(crate) fn count(&self, kind: u8) -> usize {
        let kinds = self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.get(&kind).copied().unwrap_or(0)
    }

    fn join(&self, proxy: &TcpStream, upstream: &TcpStream) -> io::Result<()> {
        proxy.set_nodelay(true)?;
        upstream.set_nodelay(true)?;
        let (mut from, mut to) = (upstream.try_clone()?, proxy.try_clone()?);
        std::thread::spawn(move || {
            // Ends by either end's leaving.
            let _ended = io::copy(&mut from, &mut to);
            let _closed = to.shutdown(Shutdown::Both);
        });
        let (tap, mut from, mut to) = (self.clone(), proxy.try_clone()?, upstream.try_clone()?);
        std::thread::spawn(move || {
            let _ended = tap.listen(&mut from, &mut to);
            let _closed = to.shutdown(Shutdown::Both);
        });
        Ok(())
    }

    /// The preface, then frame after frame (RFC 9113, sections 3.4 and 4.1).
    fn listen(&self, from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
        let mut preface = [0; 24];
        from.read_exact(&mut preface)?;
        to.write_all(&preface)?;
        loop {
            let mut frame = vec![0; 9];
            from.read_exact(&mut frame)?;
            let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]) as usize;
            frame.resize(9 + length, 0);
            from.read_exact(&mut frame[9..])?;
            *self
                .0
                .kinds
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(frame[3])
                .or_default() += 1;
            let held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.0.released.wait_while(held, |held| *held));
            to.write_all(&frame)?;
        }
    }
}
