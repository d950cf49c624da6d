//! A client that speaks TLS, byte by byte.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

use crate::door::authority::{Authority, Issued};
use crate::support::fixture::PATIENCE;

/// How it speaks, and what it knows from connections before.
#[derive(Clone)]
pub(crate) struct TlsSettings(ClientConfig);

/// One connection.
pub(crate) struct TlsClient(pub(crate) StreamOwned<ClientConnection, TcpStream>);

impl TlsSettings {
    /// Trusts this authority and nobody else.
    pub(crate) fn trusting(authority: &Authority) -> Self {
        Self::speaking(authority, rustls::ALL_VERSIONS, None)
    }

    pub(crate) fn speaking(
        authority: &Authority,
        versions: &[&'static SupportedProtocolVersion],
        certificate: Option<&Issued>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate()).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        Self(match certificate {
            None => builder.with_no_client_auth(),
            Some(issued) => builder
                .with_client_auth_cert(vec![issued.certificate.clone()], issued.key())
                .expect("a certificate"),
        })
    }

    pub(crate) fn alpn(mut self, protocols: &[&str]) -> Self {
        self.0.alpn_protocols = protocols.iter().map(|one| one.as_bytes().to_vec()).collect();
        self
    }

    /// Each connection begins anew.
    pub(crate) fn without_sessions(mut self) -> Self {
        self.0.resumption = Resumption::disabled();
        self
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::new(self.0.clone())
    }

    /// Connects and asks for `name`; the handshake is over.
    pub(crate) fn connect(&self, address: SocketAddr, name: &str) -> io::Result<TlsClient> {
        self.over(TcpStream::connect(address)?, name)
    }

    /// The same on a connection that is there.
    pub(crate) fn over(&self, mut socket: TcpStream, name: &str) -> io::Result<TlsClient> {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let mut session = ClientConnection::new(self.config(), name).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(TlsClient(StreamOwned::new(session, socket)))
    }
}

impl TlsClient {
    pub(crate) fn is_resumed(&self) -> bool {
        self.0.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The server's own certificate.
    pub(crate) fn certificate(&self) -> Option<CertificateDer<'static>> {
        self.0.conn.peer_certificates()?.first().cloned().map(CertificateDer::into_owned)
    }

    /// A GET over HTTP/1.1; the whole answer, chunks and all, after which the connection stays.
    ///
    /// # Errors
    /// It ends before the answer does.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<String> {
        write!(self.0, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
        self.read_to("\r\n\r\n").and_then(|head| {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            self.0.read_exact(&mut body)?;
            Ok(head + &String::from_utf8_lossy(&body))
        })
    }

    /// All up to `end`, and that.
    pub(crate) fn read_to(&mut self, end: &str) -> io::Result<String> {
        let (mut text, mut byte) = (Vec::new(), [0]);
        while !text.ends_with(end.as_bytes()) {
            self.0.read_exact(&mut byte)?;
            text.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
