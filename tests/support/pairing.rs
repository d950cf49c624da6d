//! Every way in which HTTP can be spoken on the two sides of the proxy.

use firstbyte::config::{Config, Protocol};
use loadtest::upstream::{Builder, Upstream};

use super::fixture::Fixture;
use super::message::{Answer, Ask};
use super::peers::http1_client::Http1;
use super::peers::http2_client::{self, Http2};

use bytes::Bytes;

/// How the upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    ClearHttp1,
    ClearHttp2,
    TlsHttp1,
    TlsHttp2,
}

/// How the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http1,
    Http2,
}

pub(crate) const ORIGINS: [Origin; 4] =
    [Origin::ClearHttp1, Origin::ClearHttp2, Origin::TlsHttp1, Origin::TlsHttp2];

pub(crate) const CLIENTS: [Speaks; 2] = [Speaks::Http1, Speaks::Http2];

impl Origin {
    /// A proxy in front of an upstream that speaks like this.
    pub(crate) fn fixture(self, upstream: Builder) -> Fixture {
        self.configured(upstream, |_| {})
    }

    /// The same with changes to the proxy's configuration.
    pub(crate) fn configured(self, upstream: Builder, change: impl FnOnce(&mut Config)) -> Fixture {
        let upstream = match self {
            Self::ClearHttp1 => upstream.clear().http1(),
            Self::ClearHttp2 => upstream.clear().http2(),
            Self::TlsHttp1 => upstream.tls().http1(),
            Self::TlsHttp2 => upstream.tls().http2(),
        };
        Fixture::configured(upstream, |config| {
            if self == Self::ClearHttp2 {
                config.upstreams[0].protocol = Protocol::Http2;
            }
            change(config);
        })
    }

    pub(crate) fn is_http2(self) -> bool {
        matches!(self, Self::ClearHttp2 | Self::TlsHttp2)
    }
}

/// Calls `test` for every pairing, each with a proxy and an upstream of its own.
pub(crate) fn every_pairing(
    upstream: impl Fn() -> Builder,
    mut test: impl FnMut(&Fixture, &mut Client, Origin),
) {
    for origin in ORIGINS {
        let fixture = origin.fixture(upstream());
        for speaks in CLIENTS {
            eprintln!("client {speaks:?}, upstream {origin:?}");
            test(&fixture, &mut speaks.connect(&fixture), origin);
        }
    }
}

/// The mock's builder, to be named once.
pub(crate) fn upstream() -> Builder {
    Upstream::builder()
}

impl Speaks {
    pub(crate) fn connect(self, fixture: &Fixture) -> Client {
        match self {
            Self::Http1 => Client::Http1(Http1::new(fixture.connect())),
            Self::Http2 => Client::Http2(Http2::connect(fixture.address())),
        }
    }
}

/// A client connection that carries one request at a time.
pub(crate) enum Client {
    Http1(Http1),
    Http2(Http2),
}

/// A request under way.
pub(crate) struct Exchange<'a> {
    client: &'a mut Client,
    stream: Option<http2_client::Stream>,
    ask: Ask,
}

impl Client {
    /// One request and its answer.
    pub(crate) fn ask(&mut self, ask: &Ask) -> Answer {
        match self {
            Self::Http1(client) => client.ask(ask),
            Self::Http2(client) => client.ask(ask),
        }
    }

    pub(crate) fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Lets the connection go on where nothing else does.
    pub(crate) fn turn(&self) {
        if let Self::Http2(client) = self {
            client.turn();
        }
    }

    /// Sends a head, and leaves the rest to be done step by step.
    pub(crate) fn begin(&mut self, ask: &Ask) -> Exchange<'_> {
        let stream = match self {
            Self::Http1(client) => {
                client.send_head(ask);
                None
            }
            Self::Http2(client) => {
                let stream = client.send_head(ask);
                client.turn();
                Some(stream)
            }
        };
        Exchange { client: self, stream, ask: ask.clone() }
    }
}

impl Exchange<'_> {
    pub(crate) fn send(&mut self, piece: &Bytes) {
        match (&mut *self.client, &mut self.stream) {
            (Client::Http2(client), Some(stream)) => client.send_piece(stream, piece),
            (Client::Http1(client), _) => client.send_piece(&self.ask, piece),
            _ => unreachable!("begun together"),
        }
    }

    pub(crate) fn end(&mut self) {
        match (&mut *self.client, &mut self.stream) {
            (Client::Http2(client), Some(stream)) => {
                client.send_end(stream, &self.ask);
                client.turn();
            }
            (Client::Http1(client), _) => client.send_end(&self.ask),
            _ => unreachable!("begun together"),
        }
    }

    pub(crate) fn head(&mut self) -> Answer {
        match (&mut *self.client, &mut self.stream) {
            (Client::Http2(client), Some(stream)) => client.head(stream),
            (Client::Http1(client), _) => client.head(&self.ask),
            _ => unreachable!("begun together"),
        }
    }

    /// The next piece of the body; `None` is its clean end.
    pub(crate) fn piece(&mut self, answer: &mut Answer) -> Option<Bytes> {
        match (&mut *self.client, &mut self.stream) {
            (Client::Http2(client), Some(stream)) => client.piece(stream, answer),
            (Client::Http1(client), _) => client.piece(answer),
            _ => unreachable!("begun together"),
        }
    }

    /// What has come of the body beyond `answer`'s pieces, until there are `len` bytes more.
    pub(crate) fn bytes(&mut self, answer: &mut Answer, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let piece = self.piece(answer).expect("more of the body");
            bytes.extend_from_slice(&piece);
        }
        bytes
    }
}
