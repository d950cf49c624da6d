//! What we show and what we ask when clients speak TLS to us.

use std::sync::{Arc, OnceLock};

use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ParsedCertificate, ProducesTickets, ResolvesServerCert,
    ServerConfig, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;

use super::client::provider;
use crate::config::{ListenerTls, Pair};

/// How one listener speaks TLS. Clones share it.
#[derive(Debug, Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    is_slow: bool,
}

impl ServerTls {
    /// Of a listener's configuration.
    ///
    /// # Errors
    /// rustls does not take it: what is wrong with the files was found when they were read.
    pub fn new(tls: &ListenerTls) -> Result<Self, rustls::Error> {
        let provider = Arc::new(provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match &tls.clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let roots = Arc::clone(&clients.roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier =
                    if clients.required { verifier } else { verifier.allow_unauthenticated() };
                let verifier = verifier.build();
                builder.with_client_cert_verifier(
                    verifier.map_err(|error| rustls::Error::General(error.to_string()))?,
                )
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(BySni::new(&tls.pairs)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Sessions are in the tickets alone: nothing is kept here, and nothing is lost at a reload.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if tls.clients.is_some() {
            // A session that resumes is not verified again, whatever became of the client's certificate.
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = ticketer()?;
        }
        Ok(Self { config: Arc::new(config), is_slow: tls.pairs.iter().any(Pair::is_slow) })
    }

    /// What handshakes are made of.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Whether a handshake may take so long that it is better made on another thread.
    pub fn is_slow(&self) -> bool {
        self.is_slow
    }
}

/// The process's tickets: one maker for all listeners and configurations, so that sessions resume after a
/// reload. Its keys are random and change every six hours.
fn ticketer() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    static TICKETER: OnceLock<Arc<dyn ProducesTickets>> = OnceLock::new();
    if let Some(ticketer) = TICKETER.get() {
        return Ok(Arc::clone(ticketer));
    }
    let made = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    Ok(Arc::clone(TICKETER.get_or_init(|| made)))
}

/// Certificates by the name that a client asks for.
#[derive(Debug)]
struct BySni(Vec<Arc<CertifiedKey>>);

impl BySni {
    fn new(pairs: &[Pair]) -> Self {
        Self(pairs.iter().map(|pair| Arc::clone(&pair.key)).collect())
    }
}

impl ResolvesServerCert for BySni {
    /// The first that has the name and that the client can verify; otherwise the first that it can, as a server
    /// does that has one certificate.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let can =
            |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        let name = hello.server_name().filter(|_| self.0.len() > 1);
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let named =
            name.and_then(|name| self.0.iter().filter(can).find(|key| has_name(key, &name)));
        named.or_else(|| self.0.iter().find(can)).or(self.0.first()).cloned()
    }
}

fn has_name(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = key.cert.first().and_then(|first| ParsedCertificate::try_from(first).ok());
    certificate.is_some_and(|certificate| verify_server_name(&certificate, name).is_ok())
}
