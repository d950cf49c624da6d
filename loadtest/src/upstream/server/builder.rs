//! How an upstream is to be.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::answers::Answers;
use super::running::{Plan, Upstream};
use super::{Protocols, Settings};
use crate::tls::{CertificateSpec, H2, HTTP_1_1, Identity};
use crate::upstream::openai::Standard;
use crate::upstream::script::Script;
use crate::upstream::script::seen::Seen;
use crate::upstream::script::step::Goaway;

/// Collects settings; [`Builder::start`] makes an [`Upstream`]. Without any: TLS, HTTP/2 and HTTP/1.1 by ALPN,
/// an ephemeral port of 127.0.0.1, answers like OpenAI's.
#[must_use]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Builder {
    tls: bool,
    certificate: CertificateSpec,
    protocols: Protocols,
    stream_limit: Option<u32>,
    goaway_every: Option<(u64, Goaway)>,
    hash: bool,
    log: bool,
    silent_handshake: bool,
    cpu: Option<usize>,
    standard: Standard,
    answers: Option<Answers>,
    bind: SocketAddr,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            tls: true,
            certificate: CertificateSpec::default(),
            protocols: Protocols::Both,
            stream_limit: None,
            goaway_every: None,
            hash: true,
            log: true,
            silent_handshake: false,
            cpu: None,
            standard: Standard::default(),
            answers: None,
            bind: (Ipv4Addr::LOCALHOST, 0).into(),
        }
    }
}

impl Upstream {
    /// TLS, both versions of HTTP, an ephemeral port, answers like OpenAI's, unless told otherwise.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// Under TLS, with a certificate made at start.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Without TLS.
    pub fn clear(mut self) -> Self {
        self.tls = false;
        self
    }

    /// Only HTTP/2; in clear with prior knowledge.
    pub fn http2(mut self) -> Self {
        self.protocols = Protocols::Http2;
        self
    }

    /// Only HTTP/1.1.
    pub fn http1(mut self) -> Self {
        self.protocols = Protocols::Http1;
        self
    }

    /// Both: chosen by ALPN under TLS (HTTP/2 preferred), by the client's first bytes in clear.
    pub fn alpn_both(mut self) -> Self {
        self.protocols = Protocols::Both;
        self
    }

    /// An odd certificate.
    pub fn certificate(mut self, spec: CertificateSpec) -> Self {
        self.certificate = spec;
        self.tls()
    }

    /// Accepts connections and never says a word.
    pub fn silent_handshake(mut self) -> Self {
        self.silent_handshake = true;
        self
    }

    /// HTTP/2: SETTINGS_MAX_CONCURRENT_STREAMS; streams beyond it are refused.
    pub fn stream_limit(mut self, limit: u32) -> Self {
        self.stream_limit = Some(limit);
        self
    }

    /// The n-th request of a connection is its last: a graceful GOAWAY, or `connection: close`. Requests in
    /// flight finish.
    pub fn goaway_every(mut self, requests: u64) -> Self {
        self.goaway_every = Some((requests, Goaway::Graceful));
        self
    }

    /// The same without warning, as nginx does: requests that cross the GOAWAY are not processed.
    pub fn goaway_abruptly_every(mut self, requests: u64) -> Self {
        self.goaway_every = Some((requests, Goaway::AfterThis));
        self
    }

    /// This script for every request.
    pub fn script(mut self, script: Script) -> Self {
        self.answers = Some(Answers::Fixed(script));
        self
    }

    /// Decides per request, when its body has arrived. It runs on the upstream's thread: it must not block. A
    /// panic in it is raised again when the upstream is joined or dropped.
    pub fn respond(mut self, decide: impl Fn(&Seen) -> Script + Send + Sync + 'static) -> Self {
        self.answers = Some(Answers::AtEnd(Arc::new(decide)));
        self
    }

    /// Decides per request, when its head has arrived.
    pub fn respond_early(
        mut self,
        decide: impl Fn(&Seen) -> Script + Send + Sync + 'static,
    ) -> Self {
        self.answers = Some(Answers::AtHead(Arc::new(decide)));
        self
    }

    /// The pace and size of standard answers, all at once.
    pub fn standard(mut self, standard: Standard) -> Self {
        self.standard = standard;
        self
    }

    /// Standard answers begin after this.
    pub fn first_token_after(mut self, time: Duration) -> Self {
        self.standard.first_after = time;
        self
    }

    /// Standard streams send a token this often; zero means back to back.
    pub fn token_every(mut self, time: Duration) -> Self {
        self.standard.every = time;
        self
    }

    /// Standard answers have so many tokens.
    pub fn tokens(mut self, count: u64) -> Self {
        self.standard.tokens = count;
        self
    }

    /// Size of one frame of a standard stream; see [`crate::upstream::Tokens`].
    pub fn frame_bytes(mut self, bytes: usize) -> Self {
        self.standard.frame_bytes = bytes;
        self
    }

    /// How many events that are due together share a DATA frame or chunk; 1 for none.
    pub fn pack(mut self, events: usize) -> Self {
        self.standard.pack = events;
        self
    }

    /// Whether bodies are hashed, in both directions (default: yes). Off for saturation benches.
    pub fn hash(mut self, hash: bool) -> Self {
        self.hash = hash;
        self
    }

    /// Whether anything is logged (default: yes). Off for benches.
    pub fn log(mut self, log: bool) -> Self {
        self.log = log;
        self
    }

    /// Keeps the upstream's thread on one CPU, counted from 0.
    pub fn pin(mut self, cpu: usize) -> Self {
        self.cpu = Some(cpu);
        self
    }

    /// Where to listen (default: 127.0.0.1, an ephemeral port).
    pub fn bind(mut self, addr: SocketAddr) -> Self {
        self.bind = addr;
        self
    }

    /// Listens and starts the upstream's thread. Fails if the address is taken, the CPU does not exist, or no
    /// certificate can be made.
    pub fn start(self) -> io::Result<Upstream> {
        let identity = if self.tls { Some(Identity::generate(&self.certificate)?) } else { None };
        let alpn: &[&[u8]] = match self.protocols {
            Protocols::Http1 => &[HTTP_1_1],
            Protocols::Http2 => &[H2],
            Protocols::Both => &[H2, HTTP_1_1],
        };
        let tls = identity.as_ref().map(|identity| identity.server_config(alpn)).transpose()?;
        let settings = Settings {
            tls,
            protocols: self.protocols,
            stream_limit: self.stream_limit,
            goaway_every: self.goaway_every,
            hash: self.hash,
            silent_handshake: self.silent_handshake,
            answers: self.answers.unwrap_or(Answers::Standard(self.standard)),
        };
        let ca_pem = identity.map(|identity| identity.ca_pem().to_owned());
        Upstream::start(Plan { settings, ca_pem, log: self.log, cpu: self.cpu, bind: self.bind })
    }
}
