//! Where clients come in: TLS, balancers, Unix sockets.

pub(crate) mod authority;
mod balancers;
mod forwarded;
mod handshakes;
mod proxy_protocol;
mod tls;
pub(crate) mod tls_client;
mod tls_clients;
mod tls_renewal;
mod tls_tools;
mod unix;

use std::path::{Path, PathBuf};

use loadtest::upstream::{Builder, Upstream};

use crate::door::authority::Authority;
use crate::support::fixture::{Fixture, PATIENCE, scratch};

/// One worker with this `listen`, in front of one upstream.
pub(crate) fn text(upstream: &Upstream, listen: &str, more: &str) -> String {
    format!(
        "listen: {listen}\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: file:access.jsonl\n\
         allowed_hosts: '*'\nupstreams:\n  a: {{ url: '{}/v1', protocol: http2 }}\n\
         routes: [{{ path: /v1, upstream: a }}]\n{more}",
        upstream.url()
    )
}

/// A TLS listener with these certificates, by their names in `folder`.
pub(crate) fn listen(folder: &Path, names: &[&str], more: &str) -> String {
    let files = |end: &str| {
        let files = names.iter().map(|name| format!("{}/{name}.{end}", folder.display()));
        files.collect::<Vec<_>>().join(", ")
    };
    format!(
        "[{{ address: 127.0.0.1:0, tls: {{ certificate: [{}], private_key: [{}]{more} }} }}]",
        files("pem"),
        files("key")
    )
}

pub(crate) fn clear(builder: Builder) -> Upstream {
    builder.clear().http2().start().expect("the mock upstream starts")
}

/// A proxy that speaks TLS as `localhost`, the authority that clients trust, and the folder of both files.
pub(crate) fn behind_tls(builder: Builder, more: &str) -> (Fixture, Authority, PathBuf) {
    let (folder, authority) = (scratch(), Authority::new("ours"));
    authority.server(&["localhost"]).write(&folder, "a");
    let upstream = clear(builder);
    let text = text(&upstream, &listen(&folder, &["a"], ""), more);
    (ready(upstream, &text), authority, folder)
}

pub(crate) fn ready(upstream: Upstream, text: &str) -> Fixture {
    let fixture = Fixture::of_file(upstream, text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "the proxy does not become ready");
    fixture
}

pub(crate) fn handshakes(fixture: &Fixture, result: &str) -> u64 {
    fixture.count(&format!("firstbyte_tls_handshakes_total{{result=\"{result}\"}}"))
}
