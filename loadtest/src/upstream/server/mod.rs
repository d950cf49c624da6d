//! The upstream's thread: accepts, shakes hands, hands each connection to its version of HTTP.

pub(in crate::upstream) mod answers;
pub(in crate::upstream) mod builder;
mod exchange;
pub(in crate::upstream) mod http1;
pub(in crate::upstream) mod http2;
mod live;
pub(in crate::upstream) mod running;

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::clock::{Clock, now_ns};
use super::log::recorder::Recorder;
use super::log::{ConnectionEnd, ConnectionSeen};
use super::script::step::Goaway;
use super::wire::refused_streams::RefusedStreams;
use super::wire::{Transport, Wire};
use answers::Answers;
use live::{Command, Frost, Live};

/// Which versions of HTTP are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocols {
    Http1,
    Http2,
    /// By ALPN under TLS, by the first bytes in clear.
    Both,
}

/// What does not change while the upstream runs.
pub(super) struct Settings {
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
    pub(super) protocols: Protocols,
    pub(super) stream_limit: Option<u32>,
    /// After so many requests of a connection.
    pub(super) goaway_every: Option<(u64, Goaway)>,
    pub(super) hash: bool,
    /// The TLS handshake never gets an answer.
    pub(super) silent_handshake: bool,
    pub(super) answers: Answers,
}

/// The first panic of a task, to be raised again where the upstream is joined.
pub(super) type PanicSlot = Arc<Mutex<Option<Box<dyn Any + Send>>>>;

/// What all connections of the thread share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) recorder: Arc<Recorder>,
    pub(super) clock: Clock,
    pub(super) requests: Arc<AtomicU64>,
    pub(super) panic: PanicSlot,
    pub(super) live: Rc<Live>,
    pub(super) frost: Frost,
}

impl Shared {
    /// The next request's number.
    pub(super) fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether the connection's n-th request (from 0) is to be its last, and how it says so.
    pub(super) fn goaway_due(&self, nth_on_connection: u64) -> Option<Goaway> {
        let (every, which) = self.settings.goaway_every?;
        (nth_on_connection + 1 == every).then_some(which)
    }

    fn obey(&self, command: &Command) {
        match command {
            Command::Cut(how) => self.live.cut_all(*how),
            Command::Retire => self.live.retire_all(),
            Command::Freeze => self.frost.hold(),
        }
    }

    /// Keeps the first panic.
    pub(super) fn note_panic(&self, done: Result<(), JoinError>) {
        if let Err(error) = done
            && error.is_panic()
        {
            let mut slot = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
            slot.get_or_insert(error.into_panic());
        }
    }
}

/// Accepts until the sender of `commands` is dropped. Every open connection ends with it.
pub(super) async fn serve(
    shared: Rc<Shared>,
    listener: TcpListener,
    mut commands: mpsc::Receiver<Command>,
) {
    let clock = tokio::task::spawn_local(shared.clock.clone().run());
    let mut connections = JoinSet::new();
    let mut accepted = 0;
    loop {
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(command) => shared.obey(&command),
                None => break,
            },
            Some(done) = connections.join_next(), if !connections.is_empty() => shared.note_panic(done),
            incoming = listener.accept() => match incoming {
                Ok((tcp, peer)) => {
                    connections.spawn_local(connection(shared.clone(), tcp, peer, accepted));
                    accepted += 1;
                }
                // Out of descriptors or the like: others may still be closing theirs.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
    shared.recorder.stopping();
    clock.abort();
}

async fn connection(shared: Rc<Shared>, tcp: TcpStream, peer: SocketAddr, number: u64) {
    let seen = ConnectionSeen {
        number,
        peer,
        accepted_ns: now_ns(),
        ready_ns: None,
        alpn: None,
        http2: false,
        peak_streams: 0,
        refused: 0,
        closed_ns: None,
        closed: None,
    };
    shared.recorder.connection(seen);
    let open = OpenConnection { recorder: shared.recorder.clone(), number };
    let end = match begin(&shared, tcp, number).await {
        Ok((wire, true)) => http2::drive(shared, wire, number).await,
        Ok((wire, false)) => http1::drive(shared, wire, number).await,
        Err(error) => ConnectionEnd::Failed(error.to_string()),
    };
    open.close(end);
}

/// Handshake and choice of protocol; true for HTTP/2.
async fn begin(shared: &Shared, tcp: TcpStream, number: u64) -> io::Result<(Wire, bool)> {
    tcp.set_nodelay(true)?;
    if shared.settings.silent_handshake {
        std::future::pending::<()>().await;
    }
    let mut alpn = None;
    let transport = match &shared.settings.tls {
        Some(config) => {
            let tls = TlsAcceptor::from(config.clone()).accept(tcp).await?;
            alpn = tls.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            Transport::Tls(Box::new(tls))
        }
        None => Transport::Clear(tcp),
    };
    let http2 = match (shared.settings.protocols, &transport) {
        (Protocols::Http1, _) => false,
        (Protocols::Http2, _) => true,
        (Protocols::Both, Transport::Clear(tcp)) => prefaced(tcp).await?,
        (Protocols::Both, Transport::Tls(_)) => alpn.as_deref() == Some(crate::tls::H2),
    };
    shared.recorder.update_connection(number, |seen| {
        seen.ready_ns = Some(now_ns());
        seen.alpn = alpn.map(|name| String::from_utf8_lossy(&name).into_owned());
        seen.http2 = http2;
    });
    let watch = (http2 && shared.recorder.enabled()).then(|| {
        let recorder = shared.recorder.clone();
        RefusedStreams::new(move || recorder.update_connection(number, |seen| seen.refused += 1))
    });
    Ok((Wire::new(transport, watch), http2))
}

/// Whether the client begins with HTTP/2's preface (RFC 9113, section 3.4); its first four bytes are no method.
async fn prefaced(tcp: &TcpStream) -> io::Result<bool> {
    const PREFACE: &[u8] = b"PRI ";
    let mut first = [0; PREFACE.len()];
    let mut have = 0;
    loop {
        let now = tcp.peek(&mut first).await?;
        if first[..now] != PREFACE[..now] || now == 0 {
            return Ok(false);
        }
        if now == PREFACE.len() {
            return Ok(true);
        }
        if now == have {
            // Peeked bytes keep the socket readable; do not spin while a dribbling client takes its time.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        have = now;
    }
}

/// Closes one connection's entry, also when the upstream is stopped under it.
struct OpenConnection {
    recorder: Arc<Recorder>,
    number: u64,
}

impl OpenConnection {
    fn close(self, end: ConnectionEnd) {
        self.note(end);
    }

    fn note(&self, end: ConnectionEnd) {
        self.recorder.update_connection(self.number, |seen| {
            if seen.closed.is_none() {
                seen.closed_ns = Some(now_ns());
                seen.closed = Some(end);
            }
        });
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.note(ConnectionEnd::Stopped);
    }
}
