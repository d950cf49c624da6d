//! A configuration in words: what `firstbyte check` prints and what is logged at the start.

use std::fmt::Write as _;

use super::quantity::show_duration;
use super::scalar::show_log;
use super::{Config, Protocol, Route, Scheme, Upstream};

/// One line for the listeners, one for each route, one for each upstream that no route leads to.
/// Ends without a line break and shows no key.
pub fn describe(config: &Config) -> String {
    let listen: Vec<_> = config.listen.iter().map(ToString::to_string).collect();
    let admin = config.admin.map_or_else(|| "off".to_owned(), |admin| admin.to_string());
    let log = show_log(&config.access_log);
    let (workers, s) = (config.workers, if config.workers.get() == 1 { "" } else { "s" });
    let mut text = format!(
        "listen {}, admin {admin}, {workers} worker{s}, access log {log}",
        listen.join(", ")
    );
    for route in &config.routes {
        if let Some(upstream) = config.upstreams.get(route.upstream.0) {
            let _ = write!(text, "\n{}", leads_to(route, upstream)); // a String takes all
        }
    }
    for (nth, upstream) in config.upstreams.iter().enumerate() {
        if !config.routes.iter().any(|route| route.upstream.0 == nth) {
            let _ = write!(text, "\nno route leads to {}", one(upstream));
        }
    }
    text
}

fn leads_to(route: &Route, upstream: &Upstream) -> String {
    format!("{} → {}", route.path, one(upstream))
}

fn one(upstream: &Upstream) -> String {
    let Upstream { name, pool, deadlines, .. } = upstream;
    let protocol = match (upstream.protocol, upstream.scheme) {
        (Protocol::Auto, Scheme::Https) => "h2 or http/1.1 by ALPN",
        (Protocol::Auto | Protocol::Http1, _) => "http/1.1",
        (Protocol::Http2, Scheme::Https) => "h2",
        (Protocol::Http2, Scheme::Http) => "h2 with prior knowledge",
    };
    let key = match (&upstream.key, upstream.forward_authorization) {
        (Some(_), _) if upstream.scheme == Scheme::Http => "key set, sent in clear",
        (Some(_), _) => "key set",
        (None, true) => "the client's key forwarded",
        (None, false) => "no key",
    };
    format!(
        "{name}: {} ({protocol}, {key}, {}–{} connections of {} streams per worker, head within {})",
        url(upstream),
        pool.min_connections,
        pool.max_connections,
        pool.streams_per_connection,
        show_duration(deadlines.response_head),
    )
}

/// The upstream's URL, with its port only where it is not the scheme's own.
fn url(upstream: &Upstream) -> String {
    let (scheme, usual) = match upstream.scheme {
        Scheme::Http => ("http", 80),
        Scheme::Https => ("https", 443),
    };
    let host = &upstream.host;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let port = if upstream.port == usual { String::new() } else { format!(":{}", upstream.port) };
    format!("{scheme}://{host}{port}{}", upstream.base_path)
}
