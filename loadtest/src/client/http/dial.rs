//! From a target to an open connection, TLS and the HTTP/2 preface included.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connection::Connection;
use super::stamped::Stamped;
use super::{h1::H1, h2::H2};
use crate::client::target::{Protocol, Target};

/// Why no connection could be had.
#[derive(Debug)]
pub enum DialError {
    /// Name resolution or TCP.
    Tcp(io::Error),
    /// The TLS handshake.
    Tls(io::Error),
    /// HTTP/2 was required and the peer did not negotiate it.
    NotHttp2,
    /// The HTTP/2 preface.
    Http2(h2::Error),
    /// Not within the target's bound.
    TimedOut,
}

impl std::fmt::Display for DialError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(error) => write!(f, "no connection: {error}"),
            Self::Tls(error) => write!(f, "TLS handshake failed: {error}"),
            Self::NotHttp2 => f.write_str("the peer did not negotiate HTTP/2"),
            Self::Http2(error) => write!(f, "HTTP/2 preface failed: {error}"),
            Self::TimedOut => f.write_str("no connection within the time allowed"),
        }
    }
}

impl std::error::Error for DialError {}

/// Opens a connection to `target`. Dropping the future abandons the attempt.
pub async fn dial(target: &Target) -> Result<Connection, DialError> {
    tokio::time::timeout(target.connect_timeout, open(target))
        .await
        .unwrap_or(Err(DialError::TimedOut))
}

async fn open(target: &Target) -> Result<Connection, DialError> {
    let address = (target.host.as_str(), target.port);
    let tcp = TcpStream::connect(address).await.map_err(DialError::Tcp)?;
    tcp.set_nodelay(true).map_err(DialError::Tcp)?;
    let tcp = if target.kernel_stamps {
        Stamped::stamping(tcp).map_err(DialError::Tcp)?
    } else {
        Stamped::plain(tcp)
    };
    let stamp = tcp.stamp();
    let (io, negotiated) = match &target.tls {
        None => (Io::Tcp(tcp), target.protocol == Protocol::Http2),
        Some((config, name)) => secure(tcp, config.clone(), name.clone()).await?,
    };
    if target.protocol == Protocol::Http2 && !negotiated {
        return Err(DialError::NotHttp2);
    }
    if negotiated {
        let scheme = if target.tls.is_some() { "https" } else { "http" };
        let h2 = H2::open(io, scheme, target.authority.clone(), stamp)
            .await
            .map_err(DialError::Http2)?;
        Ok(Connection::Http2(h2))
    } else {
        Ok(Connection::Http1(H1::new(io, &target.authority, stamp)))
    }
}

async fn secure(
    tcp: Stamped,
    config: std::sync::Arc<rustls::ClientConfig>,
    name: ServerName<'static>,
) -> Result<(Io, bool), DialError> {
    let tls = TlsConnector::from(config).connect(name, tcp).await.map_err(DialError::Tls)?;
    let negotiated = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok((Io::Tls(Box::new(tls)), negotiated))
}

/// An open socket, clear or under TLS.
#[derive(Debug)]
pub(in crate::client) enum Io {
    Tcp(Stamped),
    Tls(Box<TlsStream<Stamped>>),
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_read(cx, buf),
            Self::Tls(io) => Pin::new(io.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_write(cx, buf),
            Self::Tls(io) => Pin::new(io.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Self::Tls(io) => Pin::new(io.as_mut()).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io.as_mut()).poll_shutdown(cx),
        }
    }
}
