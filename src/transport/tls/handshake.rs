//! TLS handshakes with clients, and what they may take of a worker.
//!
//! The first step of one, after the client's hello, costs as much as a hundred requests: a key exchange and a
//! signature. On a runtime of one thread everybody waits for it. So a worker makes one such step at a time, and
//! looks at its sockets between two of them; and where a signature takes long (RSA), it is made on another
//! thread, which gives way to workers.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rustix::process::{getpid, setpriority_process};
use rustix::thread::{sched_getaffinity, sched_setaffinity};
use rustls::server::{Accepted, Acceptor};
use rustls::{Error, HandshakeKind, ServerConfig, ServerConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::server::ServerTls;
use crate::transport::any_socket::AnySocket;
use crate::transport::write_stall::WriteStall;

/// The first byte of a TLS record that holds a hello (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// Bytes of one read; a hello is shorter, and rustls takes 64 KiB of one at most.
const READ: usize = 4 * 1024;

/// How much less than a worker a thread counts that makes slow signatures, in steps of `nice`.
const NICE: i32 = 10;

/// How long a client that was told why it is not served may take to read it, and how much of what it sent
/// meanwhile is read: the kernel would otherwise reset the connection, and the reason be lost.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 * 1024;

/// One worker's. Clones share it.
#[derive(Clone)]
pub struct Handshakes(Rc<Semaphore>);

impl Default for Handshakes {
    fn default() -> Self {
        Self(Rc::new(Semaphore::new(1)))
    }
}

/// What became of a handshake.
pub enum Shaken {
    /// TLS is spoken from here on.
    Done(Box<TlsStream<WriteStall<AnySocket>>>),
    /// The client does not speak TLS: its socket, and what it said.
    Clear(WriteStall<AnySocket>, BytesMut),
}

/// Why there was none.
#[derive(Debug)]
pub enum Failed {
    /// The client left, or its socket failed.
    Left(io::Error),
    /// What one of the two could not accept; the client was told.
    Refused(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Left(error)
    }
}

/// Whether the session is one from before.
pub fn is_resumed(stream: &TlsStream<WriteStall<AnySocket>>) -> bool {
    stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}

/// Whether HTTP/2 was agreed on, or HTTP/1.1; `None` where the client left that open.
pub fn agreed_on_http2(stream: &TlsStream<WriteStall<AnySocket>>) -> Option<bool> {
    stream.get_ref().1.alpn_protocol().map(|protocol| protocol == b"h2")
}

impl Handshakes {
    /// Speaks TLS with a client that has said `ahead` so far. No deadline here: the caller has one. Dropped, it
    /// closes the connection; a signature that is under way on another thread is made for nobody.
    ///
    /// # Errors
    /// See [`Failed`].
    pub async fn shake(
        &self,
        mut stream: WriteStall<AnySocket>,
        mut ahead: BytesMut,
        tls: &ServerTls,
    ) -> Result<Shaken, Failed> {
        if ahead.is_empty() {
            read(&mut stream, &mut ahead).await?;
        }
        if ahead.first() != Some(&HANDSHAKE) {
            return Ok(Shaken::Clear(stream, ahead));
        }
        let config = tls.config();
        let begun = match hello(&mut stream, &mut ahead).await? {
            Ok(accepted) => self.begin(accepted, &config, tls.is_slow()).await,
            Err(refused) => Err(refused),
        };
        let session = match begun.and_then(|session| follow(session, &mut ahead)) {
            Ok(session) => session,
            Err(Refused { error, alert }) => {
                let _left = stream.write_all(&alert).await;
                linger(stream).await;
                return Err(Failed::Refused(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
        };
        // The acceptor's own session is a new one that has seen nothing yet.
        let accepting = TlsAcceptor::from(config).accept_with(stream, |own| *own = session);
        match accepting.into_fallible().await {
            Ok(stream) => Ok(Shaken::Done(Box::new(stream))),
            Err((error, stream)) if error.kind() == io::ErrorKind::InvalidData => {
                linger(stream).await;
                Err(Failed::Refused(error))
            }
            Err((error, _gone)) => Err(Failed::Left(error)),
        }
    }

    /// The step that costs. Who waits for it is served in order.
    async fn begin(
        &self,
        accepted: Accepted,
        config: &Arc<ServerConfig>,
        is_slow: bool,
    ) -> Result<ServerConnection, Refused> {
        let config = Arc::clone(config);
        let _turn = self.turn().await;
        if is_slow {
            let made = tokio::task::spawn_blocking(move || {
                give_way();
                answer(accepted, config)
            });
            let ends =
                |_| Refused { error: Error::General("the proxy ends".into()), alert: vec![] };
            return made.await.unwrap_or_else(|ending| Err(ends(ending)));
        }
        answer(accepted, config)
    }

    /// One at a time. The sockets are looked at before each, and so between any two.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        let turn = self.0.acquire().await.ok(); // it is never closed
        tokio::task::yield_now().await;
        turn
    }
}

/// Why a session does not come about, and what the client is to be told.
struct Refused {
    error: Error,
    alert: Vec<u8>,
}

fn answer(accepted: Accepted, config: Arc<ServerConfig>) -> Result<ServerConnection, Refused> {
    accepted.into_connection(config).map_err(|(error, mut alert)| {
        let mut bytes = Vec::new();
        let _written = alert.write_all(&mut bytes); // a vector takes all
        Refused { error, alert: bytes }
    })
}

/// Reads more; an end here is the connection's.
async fn read(stream: &mut WriteStall<AnySocket>, ahead: &mut BytesMut) -> io::Result<()> {
    ahead.reserve(READ);
    match stream.read_buf(ahead).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// The client's hello. What came behind it stays in `ahead`.
async fn hello(
    stream: &mut WriteStall<AnySocket>,
    ahead: &mut BytesMut,
) -> io::Result<Result<Accepted, Refused>> {
    let mut acceptor = Acceptor::default();
    loop {
        while !ahead.is_empty() {
            let taken = acceptor.read_tls(&mut &ahead[..])?;
            ahead.advance(taken);
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok(Ok(accepted)),
                Ok(None) => {}
                Err((error, mut alert)) => {
                    let mut bytes = Vec::new();
                    let _written = alert.write_all(&mut bytes); // a vector takes all
                    return Ok(Err(Refused { error, alert: bytes }));
                }
            }
        }
        read(stream, ahead).await?;
    }
}

/// Gives a session what its client sent behind the hello.
fn follow(
    mut session: ServerConnection,
    ahead: &mut BytesMut,
) -> Result<ServerConnection, Refused> {
    while !ahead.is_empty() {
        let taken = session.read_tls(&mut &ahead[..]);
        let taken = taken.map_err(|error| Error::General(error.to_string()));
        let followed = taken.and_then(|taken| {
            ahead.advance(taken);
            session.process_new_packets()
        });
        if let Err(error) = followed {
            let mut alert = Vec::new();
            let _written = session.write_tls(&mut alert); // a vector takes all
            return Err(Refused { error, alert });
        }
    }
    Ok(session)
}

/// Closes our side, and waits for the client to have read why.
async fn linger(mut stream: WriteStall<AnySocket>) {
    let read = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    let _either = tokio::time::timeout(LINGER, read).await;
}

/// Lets the thread run on any core, not on its worker's alone, and after the workers. A refusal leaves it as it
/// is.
fn give_way() {
    // The main thread is not pinned.
    if let Ok(all) = sched_getaffinity(Some(getpid())) {
        let _left = sched_setaffinity(None, &all);
    }
    let _left = setpriority_process(None, NICE);
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use rustix::time::{ClockId, clock_gettime};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    /// The processor's time of this thread for the step that costs, the least of some.
    fn step(key: &rcgen::KeyPair) -> Duration {
        let parameters = rcgen::CertificateParams::new(vec!["a.test".into()]).unwrap();
        let certificate = parameters.self_signed(key).unwrap().der().clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.serialize_der().try_into().unwrap());
        let server = Arc::new(server.unwrap());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Arc::new(client);
        let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        let once = |_| {
            let name = "a.test".try_into().unwrap();
            let mut client = rustls::ClientConnection::new(Arc::clone(&client), name).unwrap();
            let mut hello = Vec::new();
            client.write_tls(&mut hello).unwrap();
            let mut acceptor = Acceptor::default();
            acceptor.read_tls(&mut &hello[..]).unwrap();
            let accepted = acceptor.accept().ok().flatten().unwrap();
            let began = used();
            assert!(answer(accepted, Arc::clone(&server)).is_ok());
            used().saturating_sub(began)
        };
        (0..20).map(once).min().unwrap()
    }

    #[test]
    fn a_step_with_an_rsa_key_costs_several_times_one_with_an_ecdsa_key() {
        let rsa = |size| rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
        let ecdsa = step(&rcgen::KeyPair::generate().unwrap());
        let small = step(&rsa(rcgen::RsaKeySize::_2048));
        let large = step(&rsa(rcgen::RsaKeySize::_4096));
        println!("ECDSA P-256 {ecdsa:?}, RSA 2048 {small:?}, RSA 4096 {large:?}");
        assert!(small > ecdsa * 2 && large > small * 2);
    }

    /// Each handshake sends a byte, as a client does whose stream goes on meanwhile.
    #[tokio::test]
    async fn whoever_has_something_on_a_socket_comes_before_the_next_handshake() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        near.writable().await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let (near, log) = (Rc::new(near), Rc::new(RefCell::new(Vec::new())));
        let handshakes = Handshakes::default();
        let all = async {
            let read = Rc::clone(&log);
            let reading = spawn_local(async move {
                for _ in 0..5 {
                    far.read_exact(&mut [0]).await.unwrap();
                    read.borrow_mut().push("read");
                }
            });
            for _ in 0..5 {
                let (near, log, handshakes) =
                    (Rc::clone(&near), Rc::clone(&log), handshakes.clone());
                spawn_local(async move {
                    let _turn = handshakes.turn().await;
                    log.borrow_mut().push("handshake");
                    near.try_write(b"x").unwrap();
                });
            }
            reading.await.unwrap();
        };
        LocalSet::new().run_until(all).await;
        assert_eq!(*log.borrow(), ["handshake", "read"].repeat(5));
    }
}
