//! From a connection's first byte to its protocol: the header of a balancer, TLS, the version of HTTP.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;

use super::acceptor::Acceptor;
use super::detect::{Protocol, detect};
use super::door::Door;
use crate::error::Kind;
use crate::proto::proxy_protocol::{Parsed, parse};
use crate::record::{ClientAddress, Handshake, Hangup, Recorder};
use crate::transport::tls::handshake::{Failed, Shaken, agreed_on_http2, is_resumed};
use crate::transport::tls::names::certificate_names;
use crate::transport::{AnySocket, ClientSocket, ClientStream, ReadAhead, WriteStall};

/// Bytes of one read before the protocol is known.
const READ: usize = 4 * 1024;

/// A connection that was accepted.
pub(super) struct Arrival<S> {
    pub(super) stream: S,
    /// Who is at its other end.
    pub(super) address: ClientAddress,
    /// The number of its listener in the configuration.
    pub(super) listener: usize,
}

/// A connection whose protocol is known.
pub(super) struct Entered {
    pub(super) socket: ClientSocket,
    pub(super) protocol: Protocol,
    /// Who connected, to us or to the balancer.
    pub(super) address: ClientAddress,
    /// Whether TLS is spoken.
    pub(super) is_tls: bool,
    /// The names in the certificate that the client was verified by.
    pub(super) certificates: Vec<String>,
    /// Why no request of it is served, whatever it asks.
    pub(super) refusal: Option<Kind>,
}

/// Reads until the protocol is known. `None`: the client left without a word, or was sent away and knows why.
/// No deadline here: the caller has one. Dropped, it closes the connection.
///
/// # Errors
/// The socket's.
pub(super) async fn enter(
    acceptor: &Acceptor,
    door: Option<Door>,
    stream: WriteStall<AnySocket>,
    address: ClientAddress,
) -> io::Result<Option<Entered>> {
    match door {
        // Boxed: a connection in clear has no room for it.
        Some(door) if door.proxy_protocol || door.tls.is_some() => {
            Box::pin(pass(acceptor, door, stream, address)).await
        }
        _ => recognised(ReadAhead::new(ClientStream::Clear(stream)), address).await,
    }
}

async fn pass(
    acceptor: &Acceptor,
    door: Door,
    mut stream: WriteStall<AnySocket>,
    mut address: ClientAddress,
) -> io::Result<Option<Entered>> {
    let mut ahead = BytesMut::new();
    if door.proxy_protocol {
        let Some(source) = header(&mut stream, &mut ahead).await? else {
            acceptor.recorder().hung_up(Hangup::NoProxyHeader);
            tracing::debug!(client = %address, "no PROXY protocol header: closed");
            return Ok(None);
        };
        address = source.map_or(address, ClientAddress::Socket);
    }
    let Some(tls) = &door.tls else {
        return recognised(ReadAhead::with(ClientStream::Clear(stream), ahead), address).await;
    };
    let mut counting = Counting { recorder: acceptor.recorder(), became: Handshake::Unfinished };
    let shaken = acceptor.handshakes().shake(stream, ahead, tls).await;
    let stream = match shaken {
        Ok(Shaken::Done(stream)) => stream,
        Ok(Shaken::Clear(stream, ahead)) => {
            counting.became = Handshake::Clear;
            let socket = ReadAhead::with(ClientStream::Clear(stream), ahead);
            let entered = recognised(socket, address).await?;
            return Ok(entered.map(|entered| Entered { refusal: Some(Kind::NoTls), ..entered }));
        }
        Err(failed) => {
            if let Failed::Refused(error) = failed {
                counting.became = Handshake::Failed;
                tracing::debug!(client = %address, %error, "TLS handshake failed");
            }
            return Ok(None);
        }
    };
    let resumed = is_resumed(&stream);
    counting.became = if resumed { Handshake::Resumed } else { Handshake::Full };
    drop(counting);
    let (agreed, certificates) = (agreed_on_http2(&stream), certificate_names(&stream));
    let socket = ReadAhead::new(ClientStream::Tls(stream));
    let protocol = match agreed {
        Some(true) => Protocol::Http2,
        Some(false) => Protocol::Http1,
        None => {
            let entered = recognised(socket, address).await?;
            return Ok(entered.map(|entered| Entered { is_tls: true, certificates, ..entered }));
        }
    };
    Ok(Some(Entered { socket, protocol, address, is_tls: true, certificates, refusal: None }))
}

async fn recognised(socket: ClientSocket, address: ClientAddress) -> io::Result<Option<Entered>> {
    let protocol = detect(&socket).await?;
    Ok(protocol.map(|protocol| Entered {
        socket,
        protocol,
        address,
        is_tls: false,
        certificates: Vec::new(),
        refusal: None,
    }))
}

/// Who connected to the balancer, if it says so; `None` where what comes is no header. What follows it stays in
/// `ahead`.
async fn header(
    stream: &mut WriteStall<AnySocket>,
    ahead: &mut BytesMut,
) -> io::Result<Option<Option<std::net::SocketAddr>>> {
    loop {
        match parse(ahead) {
            Parsed::Whole(length, source) => {
                ahead.advance(length);
                return Ok(Some(source));
            }
            Parsed::Other => return Ok(None),
            Parsed::Part => {}
        }
        ahead.reserve(READ);
        if stream.read_buf(ahead).await? == 0 {
            // A check that only connects and closes is no fault.
            return if ahead.is_empty() {
                Err(io::ErrorKind::UnexpectedEof.into())
            } else {
                Ok(None)
            };
        }
    }
}

/// A handshake that is counted once it is over, also where it is dropped.
struct Counting<'a> {
    recorder: &'a Recorder,
    became: Handshake,
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        self.recorder.shook_hands(self.became);
    }
}
