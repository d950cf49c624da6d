//! How many client connections there are descriptors for.
//!
//! Clients must not be able to take them all: one that is let in and cannot be connected upstream is worse
//! off than one that is told to come back.

use crate::admit::Capacity;
use crate::config::{Config, Protocol, Scheme, Upstream};

/// Standard streams, the access log, resolver sockets, files that are read now and then.
const PROCESS: u64 = 16;

/// A worker's runtime: epoll, its wake-up, the signal pipe.
const WORKER: u64 = 4;

/// Admin connections that are to be had at any time: a probe or two and some scrapers.
const ADMIN: u64 = 8;

/// Where there are descriptors enough, so that a crowd of them does not push a probe out before it is
/// answered.
const MOST_ADMIN: u64 = 128;

/// Connections beyond the bound that are told so at once, at most: each for a second at most, so that
/// this many a second are told even if none of them ever asks.
const MOST_REFUSALS: u64 = 64;

/// What `descriptors` allow of what the operator asked for, and says so where it is less.
pub(super) fn capacity(config: &Config, descriptors: u64) -> Capacity {
    let capacity = divide(config, descriptors);
    if capacity.connections < config.limits.connections {
        tracing::warn!(
            descriptors,
            wanted = config.limits.connections,
            connections = capacity.connections,
            "fewer client connections are possible than limits.connections: raise the limit on \
             open files (LimitNOFILE=, ulimit -n)"
        );
    }
    capacity
}

/// Admin connections at once.
pub(super) fn admin_room(descriptors: u64) -> usize {
    (descriptors / 32).clamp(ADMIN, MOST_ADMIN) as usize
}

/// What is needed whatever comes is put aside; the rest is divided between clients and the upstream
/// connections that they make necessary.
fn divide(config: &Config, descriptors: u64) -> Capacity {
    let workers = config.workers.get() as u64;
    // Those that are kept to be given on, and those that neighbours help with, beside the workers' own.
    let listeners = config.listen.len() as u64 * workers * if workers > 1 { 3 } else { 2 };
    // Twice: a connection that is replaced drains beside the one that replaced it.
    let warm: u64 = config.upstreams.iter().map(|up| up.pool.min_connections as u64 * 2).sum();
    let own = PROCESS + admin_room(descriptors) as u64 + listeners + workers * (WORKER + warm);
    let rest = descriptors.saturating_sub(own);
    let refusals = (rest / 16).clamp(1, MOST_REFUSALS);
    let rest = rest.saturating_sub(refusals);
    let per = config.upstreams.iter().map(streams_per_descriptor).min().unwrap_or(1);
    let clients = (u128::from(rest) * u128::from(per) / u128::from(per + 1)).max(1);
    let connections = usize::try_from(clients).unwrap_or(usize::MAX);
    Capacity {
        connections: config.limits.connections.min(connections),
        refusals: refusals as usize,
    }
}

/// Requests that one descriptor toward the upstream can be expected to carry. What ALPN will agree on is
/// not known yet: every API of some size offers HTTP/2.
fn streams_per_descriptor(upstream: &Upstream) -> u64 {
    match (upstream.protocol, upstream.scheme) {
        (Protocol::Http1, _) | (Protocol::Auto, Scheme::Http) => 1,
        (Protocol::Http2, _) | (Protocol::Auto, Scheme::Https) => {
            upstream.pool.streams_per_connection as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroUsize;

    fn config(url: &str) -> Config {
        let text = format!(
            "workers: 1\nupstreams: {{ a: {{ url: {url} }} }}\nroutes: [{{ path: /, upstream: a }}]"
        );
        let path = std::path::Path::new("f.yaml");
        crate::config::parse(path, text.as_bytes(), &crate::config::ProcessEnv).unwrap()
    }

    #[test]
    fn an_upstream_of_one_stream_per_connection_gets_half() {
        let capacity = divide(&config("http://127.0.0.1:1"), 256);
        let rest = 256 - (16 + 8 + 2 + 4 + 4);
        assert_eq!(capacity.refusals, rest / 16);
        assert_eq!(capacity.connections, (rest - rest / 16) / 2);
    }

    #[test]
    fn one_that_carries_many_streams_leaves_nearly_all_to_clients() {
        let capacity = divide(&config("https://a.test"), 20_000);
        assert!((19_000..20_000).contains(&capacity.connections), "{capacity:?}");
        assert_eq!(capacity.refusals, 64);
    }

    #[test]
    fn the_operator_s_bound_holds_where_there_is_room_for_it() {
        assert_eq!(divide(&config("http://127.0.0.1:1"), 1 << 20).connections, 65_536);
    }

    #[test]
    fn somebody_is_let_in_and_somebody_told_however_few_there_are() {
        let mut config = config("https://a.test");
        config.workers = NonZeroUsize::new(64).unwrap();
        assert_eq!(divide(&config, 64), Capacity { connections: 1, refusals: 1 });
    }
}
