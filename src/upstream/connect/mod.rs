//! From a name's addresses to a warm connection: TCP, TLS, and for HTTP/2 the peer's SETTINGS. Never
//! on a request's path while something is open.

mod addresses;
mod happy_eyeballs;
pub(in crate::upstream) mod resolver;
mod stage;
mod tunnel;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::socket::UpstreamSocket;
use super::stream::greeting::{Greeting, PeerTakes};
use super::stream::head_size::HeadLimit;
use super::stream::http2;
use super::stream::parcel::Parcel;
use super::stream::read_after_reset::ReadAfterReset;
use crate::config::{self, Protocol, Scheme};
use crate::error::{Cause, Distrust, Error, Kind};
use crate::proto::http2::{Tally, Watched};
use crate::transport::tls::client::ClientTls;
use crate::transport::{self, AnySocket, Stamped, Wire};
use happy_eyeballs::{Progress, race};
use resolver::ResolvedName;
use stage::{Stage, Step};

/// So long a server that asked for a certificate may take to say that it does not like ours.
const VERDICT: Duration = Duration::from_millis(250);

/// A connection that is ready for its first request.
#[expect(clippy::large_enum_variant, reason = "made and taken apart once per connection")]
pub(super) enum Connected {
    Http2(
        h2::client::SendRequest<Parcel>,
        h2::client::Connection<Watched<ReadAfterReset<UpstreamSocket>>, Parcel>,
        h2::PingPong,
        PeerTakes,
    ),
    Http1(UpstreamSocket),
}

/// What a connect has made.
pub(super) struct Fresh {
    pub(super) connected: Connected,
    pub(super) wire: Rc<Wire>,
    /// The address that won; none of a Unix socket.
    pub(super) peer: Option<SocketAddr>,
    /// From the first SYN to that address until TCP was there, and from then until it was ready.
    pub(super) took: (Duration, Duration),
}

/// What is connected to.
enum Peer<'a> {
    Tcp(SocketAddr),
    Unix(&'a Path),
}

impl Peer<'_> {
    fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Peer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Makes connections to one upstream.
pub(super) struct Connector {
    settings: Arc<config::Upstream>,
    tls: Option<(ClientTls, ServerName<'static>)>,
    name: ResolvedName,
    heads: HeadLimit,
}

impl Connector {
    pub(super) fn new(
        settings: Arc<config::Upstream>,
        tls: Option<ClientTls>,
        name: ResolvedName,
        heads: HeadLimit,
    ) -> Result<Self, Error> {
        let tls = match (settings.scheme, tls) {
            (Scheme::Https, Some(tls)) => {
                let name = settings.tls.server_name.as_ref().unwrap_or(&settings.host);
                let name = ServerName::try_from(name.clone())
                    .map_err(|error| Error::with(Kind::Tls, error))?;
                Some((tls, name))
            }
            _ => None,
        };
        Ok(Self { settings, tls, name, heads })
    }

    /// The same by other settings.
    pub(super) fn by(&self, settings: Arc<config::Upstream>) -> Self {
        let (tls, name) = (self.tls.clone(), self.name.clone());
        Self { settings, tls, name, heads: self.heads }
    }

    /// What is taken of answers.
    pub(super) fn heads(&self) -> HeadLimit {
        self.heads
    }

    /// What the upstream's name leads to.
    pub(super) fn name(&self) -> &ResolvedName {
        &self.name
    }

    /// Connects within the upstream's `connect` deadline, which covers all of it: each address is raced
    /// from TCP to SETTINGS, so that one that stalls anywhere is passed by.
    pub(super) async fn connect(&self) -> Result<Fresh, Error> {
        let furthest = Stage::default();
        let connecting = async {
            if let Some(path) = &self.settings.socket {
                return self.attempt(&Peer::Unix(path), &Progress::default(), &furthest).await;
            }
            let addresses = self.name.addresses().await?;
            furthest.at(Step::Tcp);
            let stagger = self.settings.dns.stagger;
            let furthest = &furthest;
            race(&addresses.now, stagger, |address, progress| async move {
                self.attempt(&Peer::Tcp(address), &progress, furthest).await
            })
            .await
        };
        let connected =
            tokio::time::timeout(self.settings.deadlines.connect, connecting).await.unwrap_or_else(
                |_elapsed| Err(Error::new(Kind::ConnectTimeout).because(furthest.timed_out())),
            );
        if connected.is_err() {
            self.name.doubt();
        }
        match &self.settings.proxy {
            Some(_) => connected.map_err(tunnel::before),
            None => connected,
        }
    }

    /// A server that is reloaded closes what it has just accepted, and its successor is behind the same
    /// address already: who was hung up on calls again, once.
    async fn attempt(
        &self,
        peer: &Peer<'_>,
        progress: &Progress,
        furthest: &Stage,
    ) -> Result<Fresh, Error> {
        let called = match self.call(peer, progress, furthest).await {
            Err(error) if was_hung_up_on(&error) => self.call(peer, progress, furthest).await,
            called => called,
        };
        called.map_err(|error| error.at(peer))
    }

    async fn call(
        &self,
        peer: &Peer<'_>,
        progress: &Progress,
        furthest: &Stage,
    ) -> Result<Fresh, Error> {
        let began = Instant::now();
        let link = match peer {
            Peer::Tcp(address) => AnySocket::Tcp(self.link(*address, progress, furthest).await?),
            Peer::Unix(path) => {
                AnySocket::Unix(UnixStream::connect(path).await.map_err(Error::of_connect)?)
            }
        };
        furthest.at(if self.tls.is_some() { Step::Tls } else { Step::Http });
        let linked = Instant::now();
        let stamped = Stamped::new(link, linked);
        let wire = Rc::clone(stamped.wire());
        let connected = self.negotiate(stamped, furthest).await?;
        let took = (linked - began, linked.elapsed());
        Ok(Fresh { connected, wire, peer: peer.address(), took })
    }

    /// TCP to the address, and through the proxy where it is one's.
    async fn link(
        &self,
        address: SocketAddr,
        progress: &Progress,
        furthest: &Stage,
    ) -> Result<TcpStream, Error> {
        let mut stream = TcpStream::connect(address).await.map_err(Error::of_connect)?;
        transport::tune(&stream).map_err(|error| Error::with(Kind::Internal, error))?;
        progress.linked();
        if let Some(proxy) = &self.settings.proxy {
            furthest.at(Step::Proxy);
            tunnel::open(&mut stream, proxy, &self.settings.authority()).await?;
        }
        Ok(stream)
    }

    async fn negotiate(
        &self,
        stamped: Stamped<AnySocket>,
        furthest: &Stage,
    ) -> Result<Connected, Error> {
        let wire = Rc::clone(stamped.wire());
        let Some((tls, name)) = &self.tls else {
            let io = UpstreamSocket::Clear(stamped);
            return match self.settings.protocol {
                Protocol::Http2 => self.http2(io, wire).await,
                Protocol::Auto | Protocol::Http1 => Ok(Connected::Http1(io)),
            };
        };
        let failed = |error: io::Error| {
            let cause = tls.cause(&error);
            // rustls would print all that it lies in.
            let failed = match Distrust::within(&error) {
                Some(distrust) => Error::with(Kind::Tls, distrust.why.clone()),
                None => Error::with(Kind::Tls, error),
            };
            failed.because(cause)
        };
        let connector = TlsConnector::from(Arc::clone(tls.config()));
        let mut stream = connector.connect(name.clone(), stamped).await.map_err(failed)?;
        let offered_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let tls13 = stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        if tls.judges_us() && tls13 && !offered_http2 {
            judged(&mut stream, &wire).await.map_err(failed)?;
        }
        furthest.at(Step::Http);
        if !offered_http2 && self.settings.protocol == Protocol::Http2 {
            return Err(Error::with(
                Kind::UpstreamHandshake,
                "the upstream does not offer HTTP/2 (h2) in ALPN",
            )
            .because(Cause::TlsNoCommonProtocol));
        }
        let io = UpstreamSocket::Tls(Box::new(stream));
        if !offered_http2 {
            return Ok(Connected::Http1(io));
        }
        self.http2(io, wire).await.map_err(|error| match error.cause() {
            // Its verdict on our certificate came in place of SETTINGS.
            Some(Cause::TlsCertificateRefused | Cause::TlsCertificateDemanded) => {
                let cause = tls.verdict();
                Error::with(Kind::Tls, error).because(cause)
            }
            _ => error,
        })
    }

    async fn http2(&self, io: UpstreamSocket, wire: Rc<Wire>) -> Result<Connected, Error> {
        let tally = Rc::new(RefCell::new(Tally::of_upstream(Instant::now())));
        let peer_takes = PeerTakes::default();
        let takes = u32::try_from(self.heads.bytes).unwrap_or(u32::MAX);
        let greeting = Greeting::new(takes, Rc::clone(&peer_takes));
        let io = ReadAfterReset::new(io, Rc::clone(&wire), greeting);
        let (sender, mut connection) = http2::builder(&self.settings.pool)
            .handshake(Watched::new(io, Rc::clone(&wire), tally))
            .await
            .map_err(|error| no_http2(error.into(), &wire))?;
        let pings = http2::warm(&mut connection).await.map_err(|error| no_http2(error, &wire))?;
        Ok(Connected::Http2(sender, connection, pings, peer_takes))
    }
}

/// The peer took the connection and closed it in a handshake, without a word of what was wrong.
fn was_hung_up_on(error: &Error) -> bool {
    let in_handshake = matches!(error.kind(), Kind::Tls | Kind::UpstreamHandshake);
    let closed = [Cause::TlsClosed, Cause::HandshakeClosed];
    in_handshake && error.cause().is_some_and(|cause| closed.contains(&cause))
}

/// Waits for the peer's verdict on the certificate that it asked for. Over TLS 1.3 it comes after the handshake:
/// an alert, or session tickets. A server that sends neither is taken at its word after a moment.
async fn judged(stream: &mut TlsStream<Stamped<AnySocket>>, wire: &Wire) -> io::Result<()> {
    let before = wire.bytes_read();
    let verdict = std::future::poll_fn(|cx| {
        let (mut byte, io) = ([0; 1], Pin::new(&mut *stream));
        match io.poll_read(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // It ended the connection, or speaks before it was asked.
            Poll::Ready(Ok(())) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Pending if wire.bytes_read() > before => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    });
    tokio::time::timeout(VERDICT, verdict).await.unwrap_or(Ok(()))
}

/// HTTP/2 could not be begun. What a peer says that does not speak it is an error of ours to h2.
fn no_http2(error: Box<dyn std::error::Error + Send + Sync>, wire: &Wire) -> Error {
    let socket =
        |error: &io::Error| match wire.failed_for().unwrap_or_else(|| Cause::of_closed(error)) {
            Cause::Closed | Cause::ClosedByReset => Cause::HandshakeClosed,
            cause => cause,
        };
    let cause = match (error.downcast_ref::<h2::Error>(), error.downcast_ref::<io::Error>()) {
        (Some(error), _) => match Cause::of_h2(error) {
            Cause::Http2Violation => Cause::NotHttp2,
            Cause::Goaway => Cause::HandshakeClosed,
            cause => error.get_io().map_or(cause, socket),
        },
        (None, Some(error)) => socket(error),
        (None, None) => Cause::HandshakeClosed,
    };
    Error::with(Kind::UpstreamHandshake, error).because(cause)
}
