//! From a name's addresses to a warm connection: TCP, TLS, and for HTTP/2 the peer's SETTINGS. Never
//! on a request's path while something is open.

mod addresses;
mod happy_eyeballs;
pub(in crate::upstream) mod resolver;
mod stage;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::socket::UpstreamSocket;
use super::stream::greeting::{Greeting, PeerTakes};
use super::stream::head_size::HeadLimit;
use super::stream::http2;
use super::stream::parcel::Parcel;
use super::stream::read_after_reset::ReadAfterReset;
use crate::config::{self, Protocol, Scheme};
use crate::error::{Cause, Error, Kind};
use crate::proto::http2::{Tally, Watched};
use crate::transport::{self, Stamped, Wire};
use happy_eyeballs::{Progress, race};
use resolver::ResolvedName;
use stage::{Stage, Step};

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
    /// The address that won.
    pub(super) peer: SocketAddr,
    /// From the first SYN to that address until TCP was there, and from then until it was ready.
    pub(super) took: (Duration, Duration),
}

/// Makes connections to one upstream.
pub(super) struct Connector {
    settings: Arc<config::Upstream>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    name: ResolvedName,
    heads: HeadLimit,
}

impl Connector {
    pub(super) fn new(
        settings: Arc<config::Upstream>,
        tls: Option<Arc<ClientConfig>>,
        name: ResolvedName,
        heads: HeadLimit,
    ) -> Result<Self, Error> {
        let tls = match (settings.scheme, tls) {
            (Scheme::Https, Some(tls)) => {
                let host = ServerName::try_from(settings.host.clone())
                    .map_err(|error| Error::with(Kind::Tls, error))?;
                Some((TlsConnector::from(tls), host))
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
            let addresses = self.name.addresses().await?;
            furthest.at(Step::Tcp);
            let stagger = self.settings.dns.stagger;
            let attempt = |address, progress| self.attempt(address, progress, &furthest);
            race(&addresses.now, stagger, attempt).await
        };
        let connected =
            tokio::time::timeout(self.settings.deadlines.connect, connecting).await.unwrap_or_else(
                |_elapsed| Err(Error::new(Kind::ConnectTimeout).because(furthest.timed_out())),
            );
        if connected.is_err() {
            self.name.doubt();
        }
        connected
    }

    /// A server that is reloaded closes what it has just accepted, and its successor is behind the same
    /// address already: who was hung up on calls again, once.
    async fn attempt(
        &self,
        peer: SocketAddr,
        progress: Progress,
        furthest: &Stage,
    ) -> Result<Fresh, Error> {
        let called = match self.call(peer, &progress, furthest).await {
            Err(error) if was_hung_up_on(&error) => self.call(peer, &progress, furthest).await,
            called => called,
        };
        called.map_err(|error| error.at(peer))
    }

    async fn call(
        &self,
        peer: SocketAddr,
        progress: &Progress,
        furthest: &Stage,
    ) -> Result<Fresh, Error> {
        let began = Instant::now();
        let stream = TcpStream::connect(peer).await.map_err(Error::of_connect)?;
        progress.linked();
        furthest.at(if self.tls.is_some() { Step::Tls } else { Step::Http });
        transport::tune(&stream).map_err(|error| Error::with(Kind::Internal, error))?;
        let linked = Instant::now();
        let stamped = Stamped::new(stream, linked);
        let wire = Rc::clone(stamped.wire());
        let connected = self.negotiate(stamped, furthest).await?;
        Ok(Fresh { connected, wire, peer, took: (linked - began, linked.elapsed()) })
    }

    async fn negotiate(
        &self,
        stamped: Stamped<TcpStream>,
        furthest: &Stage,
    ) -> Result<Connected, Error> {
        let wire = Rc::clone(stamped.wire());
        let Some((connector, host)) = &self.tls else {
            let io = UpstreamSocket::Clear(stamped);
            return match self.settings.protocol {
                Protocol::Http2 => self.http2(io, wire).await,
                Protocol::Auto | Protocol::Http1 => Ok(Connected::Http1(io)),
            };
        };
        let tls = connector.connect(host.clone(), stamped).await.map_err(no_tls)?;
        furthest.at(Step::Http);
        let offered_http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        if !offered_http2 && self.settings.protocol == Protocol::Http2 {
            return Err(Error::with(
                Kind::UpstreamHandshake,
                "the upstream does not offer HTTP/2 (h2) in ALPN",
            )
            .because(Cause::TlsNoCommonProtocol));
        }
        let io = UpstreamSocket::Tls(Box::new(tls));
        if offered_http2 { self.http2(io, wire).await } else { Ok(Connected::Http1(io)) }
    }

    async fn http2(&self, io: UpstreamSocket, wire: Rc<Wire>) -> Result<Connected, Error> {
        let tally = Rc::new(RefCell::new(Tally::of_upstream(Instant::now())));
        let peer_takes = PeerTakes::default();
        let takes = u32::try_from(self.heads.bytes).unwrap_or(u32::MAX);
        let greeting = Greeting::new(takes, Rc::clone(&peer_takes));
        let io = ReadAfterReset::new(io, Rc::clone(&wire), greeting);
        let (sender, mut connection) = http2::builder(&self.settings.pool)
            .handshake(Watched::new(io, wire, tally))
            .await
            .map_err(|error| no_http2(error.into()))?;
        let pings = http2::warm(&mut connection).await.map_err(no_http2)?;
        Ok(Connected::Http2(sender, connection, pings, peer_takes))
    }
}

/// The peer took the connection and closed it in a handshake, without a word of what was wrong.
fn was_hung_up_on(error: &Error) -> bool {
    let in_handshake = matches!(error.kind(), Kind::Tls | Kind::UpstreamHandshake);
    let closed = [Cause::TlsClosed, Cause::HandshakeClosed];
    in_handshake && error.cause().is_some_and(|cause| closed.contains(&cause))
}

fn no_tls(error: io::Error) -> Error {
    let cause = Cause::of_tls(&error);
    Error::with(Kind::Tls, error).because(cause)
}

/// HTTP/2 could not be begun. What a peer says that does not speak it is an error of ours to h2.
fn no_http2(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let socket = |error: &io::Error| match Cause::of_closed(error) {
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
