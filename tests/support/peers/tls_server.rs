//! An HTTP/1.1 server over TLS by hand, for certificates that no good server has, and for what it is shown.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
};

use super::raw_upstream::serve;

/// A certificate with its key, both in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// As `openssl req -x509` makes one: signed by itself, and calling itself an authority.
pub(crate) fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Pair {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
    params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    Pair { certificate: certificate.pem(), key: key.serialize_pem() }
}

/// An authority, and what it signs for clients.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub(crate) fn client(&self, name: &str) -> Pair {
        let params = CertificateParams::new(vec![name.to_owned()]).expect("names");
        let key = KeyPair::generate().expect("a key");
        let issuer: &Issuer<'_, KeyPair> = &self.0;
        let certificate = params.signed_by(&key, issuer).expect("a certificate");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a root");
        Arc::new(roots)
    }
}

/// What a server saw of one request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Server name indication (RFC 6066, section 3).
    pub(crate) sni: Option<String>,
    /// The client certificate, as it came.
    pub(crate) client: Option<Vec<u8>>,
    /// The request's head.
    pub(crate) head: String,
}

/// How a server speaks TLS.
#[derive(Clone, Default)]
pub(crate) struct Terms<'a> {
    /// Only clients that it has certified.
    pub(crate) clients: Option<&'a Authority>,
    /// `&rustls::version::TLS12` or `TLS13` alone.
    pub(crate) version: Option<&'static SupportedProtocolVersion>,
    /// In ALPN.
    pub(crate) http2: bool,
}

/// A server that answers each request with 200 and keeps what it saw. Runs until the test process ends.
#[derive(Clone)]
pub(crate) struct TlsServer {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl TlsServer {
    pub(crate) fn start(pair: &Pair, terms: &Terms<'_>) -> Self {
        use rustls::pki_types::pem::PemObject;
        let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = terms.version.map_or(rustls::ALL_VERSIONS.to_vec(), |one| vec![one]);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .expect("versions");
        let builder = match terms.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let roots = authority.roots();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let mut config = builder.with_single_cert(chain, key).expect("a certificate");
        if terms.http2 {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        let (config, seen) = (Arc::new(config), Arc::<Mutex<Vec<Seen>>>::default());
        let writes = Arc::clone(&seen);
        let address = serve(move |stream| {
            let stream = stream.try_clone().expect("a socket");
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            answer(StreamOwned::new(connection, stream), &writes);
        });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }
}

fn answer(mut stream: StreamOwned<ServerConnection, TcpStream>, seen: &Mutex<Vec<Seen>>) {
    let mut read = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(len) => read.extend_from_slice(&chunk[..len]),
        }
        while let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<_> = read.drain(..end + 4).collect();
            let certificates = stream.conn.peer_certificates();
            seen.lock().expect("no panic").push(Seen {
                sni: stream.conn.server_name().map(ToOwned::to_owned),
                client: certificates.and_then(|all| all.first()).map(|one| one.to_vec()),
                head: String::from_utf8(head).expect("text"),
            });
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            if stream.write_all(answer).and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    }
}
