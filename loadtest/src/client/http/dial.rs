//! From a target to an open connection, TLS and the HTTP/2 preface included.

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::connection::Connection;
use super::io::Io;
use super::{h1::H1, h2::H2};
use crate::client::dial_error::DialError;
use crate::client::stamped::Stamped;
use crate::client::target::{Protocol, Target};

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
