//! When upstreams are probed: a task for each that has a probe, on each worker, since each judges by what its
//! own connections show.

use std::hash::{BuildHasher, RandomState};
use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::accept::Acceptor;
use crate::config::UpstreamId;
use crate::proxy::Proxy;

/// Begins to probe for the proxy that is in force. The tasks end when another one is.
pub(super) fn begin(acceptor: &Rc<Acceptor>) {
    let proxy = acceptor.proxy();
    for (id, upstream) in proxy.config.upstreams.iter().enumerate() {
        if let Some(probe) = &upstream.probe {
            let (acceptor, proxy) = (Rc::clone(acceptor), Rc::downgrade(&proxy));
            tokio::task::spawn_local(ask(acceptor, proxy, UpstreamId(id), probe.interval));
        }
    }
}

async fn ask(acceptor: Rc<Acceptor>, proxy: Weak<Proxy>, id: UpstreamId, interval: Duration) {
    let dice = RandomState::new();
    let mut pause = interval * share(&dice, 0) / 1024;
    for turn in 1_u64.. {
        tokio::time::sleep(pause).await;
        let in_force = acceptor.proxy();
        if !std::ptr::eq(Weak::as_ptr(&proxy), Rc::as_ptr(&in_force)) {
            return;
        }
        in_force.probe(id).await;
        pause = interval * (922 + share(&dice, turn) / 5) / 1024;
    }
}

/// A number under 1,024: workers that begin together must not go on together.
fn share(dice: &RandomState, turn: u64) -> u32 {
    (dice.hash_one(turn) % 1024) as u32
}
