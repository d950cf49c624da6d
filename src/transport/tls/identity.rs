//! Who we are to an upstream that asks: a client certificate, or nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

/// What one upstream is shown, and whether it asked. Shared by all its connections.
#[derive(Debug)]
pub(super) struct Identity {
    shown: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl Identity {
    pub(super) fn new(shown: Option<CertifiedKey>) -> Self {
        Self { shown: shown.map(Arc::new), asked: AtomicBool::new(false) }
    }

    /// There is one to show.
    pub(super) fn is_known(&self) -> bool {
        self.shown.is_some()
    }

    /// The upstream asked for one, in some handshake.
    pub(super) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(
        &self,
        _issuers: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.shown.clone()
    }

    fn has_certs(&self) -> bool {
        self.is_known()
    }
}
