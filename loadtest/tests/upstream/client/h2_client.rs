//! A client on the `h2` crate.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use loadtest::tls;
use loadtest::upstream::Upstream;
use rustls::pki_types::ServerName;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// One connection.
pub(crate) struct H2Client {
    pub send: SendRequest<Bytes>,
    pub connection: JoinHandle<Result<(), h2::Error>>,
    scheme: &'static str,
}

/// An answer whose head has arrived.
pub(crate) struct H2Pending {
    pub response: ResponseFuture,
}

/// A whole answer.
pub(crate) struct H2Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub frames: Vec<Bytes>,
    pub trailers: Option<HeaderMap>,
}

impl H2Client {
    /// Connects as the upstream wants it, by TLS or in clear.
    pub(crate) async fn connect(upstream: &Upstream) -> Self {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(4 << 20).initial_connection_window_size(64 << 20);
        if upstream.ca_pem().is_empty() {
            let tcp = TcpStream::connect(upstream.addr()).await.unwrap();
            let (send, connection) = builder.handshake(tcp).await.unwrap();
            return Self::over(send, connection, "http");
        }
        let tls = Self::try_tls(upstream, tls::H2).await.unwrap();
        let (send, connection) = builder.handshake(tls).await.unwrap();
        Self::over(send, connection, "https")
    }

    /// Only the handshake.
    pub(crate) async fn try_tls(
        upstream: &Upstream,
        alpn: &[u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(upstream.addr()).await?;
        let config = tls::client_config(upstream.ca_pem(), &[alpn])?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(config).connect(name, tcp).await
    }

    /// On a connection made by the caller.
    pub(crate) fn over<T>(
        send: SendRequest<Bytes>,
        connection: h2::client::Connection<T, Bytes>,
        scheme: &'static str,
    ) -> Self
    where
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        Self { send, connection: tokio::spawn(connection), scheme }
    }

    pub(crate) fn request(&self, path: &str) -> http::request::Builder {
        Request::post(format!("{}://localhost{path}", self.scheme))
    }

    /// Sends a head; the body is the caller's business.
    pub(crate) async fn start(
        &self,
        request: http::request::Builder,
    ) -> (H2Pending, SendStream<Bytes>) {
        let mut send = self.send.clone().ready().await.unwrap();
        let (response, body) = send.send_request(request.body(()).unwrap(), false).unwrap();
        (H2Pending { response }, body)
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> H2Pending {
        let (pending, mut upload) = self.start(self.request(path)).await;
        // A peer that reset at once is what some tests are about.
        let _ = upload.send_data(Bytes::copy_from_slice(body.as_bytes()), true);
        pending
    }
}

impl H2Pending {
    /// Waits for the head only.
    pub(crate) async fn head(self) -> Result<(http::response::Parts, RecvStream), h2::Error> {
        self.response.await.map(http::Response::into_parts)
    }

    pub(crate) async fn collect(self) -> Result<H2Answer, h2::Error> {
        let (parts, mut body) = self.head().await?;
        let mut frames = Vec::new();
        while let Some(frame) = body.data().await {
            let frame = frame?;
            body.flow_control().release_capacity(frame.len()).unwrap();
            frames.push(frame);
        }
        let trailers = body.trailers().await?;
        Ok(H2Answer { status: parts.status.as_u16(), headers: parts.headers, frames, trailers })
    }
}

impl H2Answer {
    pub(crate) fn body(&self) -> Vec<u8> {
        self.frames.concat()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body()).unwrap()
    }

    pub(crate) fn ends_with_done(&self) -> bool {
        self.body().ends_with(b"data: [DONE]\n\n")
    }

    /// What the stream says its hash is.
    pub(crate) fn claimed_sha256(&self) -> String {
        let body = String::from_utf8(self.body()).unwrap();
        let (_, rest) = body.rsplit_once(r#""sha256":""#).unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    /// The hash of all bytes before the frame that claims one.
    pub(crate) fn actual_sha256(&self) -> String {
        let body = String::from_utf8(self.body()).unwrap();
        let claim = body.rfind(r#""sha256":""#).unwrap();
        let start = body[..claim].rfind("\n\n").map_or(0, |at| at + 2);
        let digest = Sha256::digest(&body.as_bytes()[..start]);
        digest.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).collect()
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap()
}
