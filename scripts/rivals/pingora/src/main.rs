//! A streaming proxy in Pingora, as its user guide would have it and with the settings that serve it best here:
//! `rival-pingora LISTEN UPSTREAM KEY AUTHORITY`.

use std::net::SocketAddr;

use async_trait::async_trait;
use pingora::http::RequestHeader;
use pingora::prelude::{HttpPeer, Result, Server};
use pingora::protocols::ALPN;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::configuration::ServerConf;

/// As many as firstbyte gives a connection. Pingora's own default is one, which makes HTTP/2 into HTTP/1.1 with more frames.
const STREAMS_PER_CONNECTION: usize = 100;

/// Idle upstream connections kept: more than any load here has in flight.
const KEPT_CONNECTIONS: usize = 4096;

struct Model {
    upstream: SocketAddr,
    authorization: String,
}

#[async_trait]
impl ProxyHttp for Model {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.upstream, true, "localhost".to_owned());
        peer.options.alpn = ALPN::H2;
        peer.options.max_h2_streams = STREAMS_PER_CONNECTION;
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        head: &mut RequestHeader,
        (): &mut (),
    ) -> Result<()> {
        head.insert_header("Host", "localhost")?;
        head.insert_header("Authorization", self.authorization.as_str())
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what| {
        arguments.next().unwrap_or_else(|| panic!("no {what}: see the first line of main.rs"))
    };
    let listen = next("LISTEN");
    let upstream = next("UPSTREAM").parse().expect("UPSTREAM is like 127.0.0.1:9443");
    let authorization = format!("Bearer {}", next("KEY"));
    let settings = ServerConf {
        ca_file: Some(next("AUTHORITY")),
        threads: 1,
        upstream_keepalive_pool_size: KEPT_CONNECTIONS,
        // It ends at once when told to: nothing that matters is in flight when a run is over.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, settings);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Model { upstream, authorization });
    service.add_tcp(&listen);
    server.add_service(service);
    server.run_forever();
}
