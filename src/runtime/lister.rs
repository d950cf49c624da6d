//! When upstreams are asked for their models: a task for each that a route with `models` leads to, on each worker,
//! since each asks over its own connections.

use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::accept::Acceptor;
use crate::algo::backoff::{backoff, draw};
use crate::config::{Config, UpstreamId};
use crate::proxy::Proxy;

/// After a failure, the first pause is up to this.
const FIRST: Duration = Duration::from_secs(1);
/// And the longest.
const LONGEST: Duration = Duration::from_secs(30);

/// Begins to ask for the proxy that is in force. The tasks end when another one is.
pub(super) fn begin(acceptor: &Rc<Acceptor>) {
    let proxy = acceptor.proxy();
    for (id, _) in proxy.config.upstreams_by_id() {
        if let Some(refresh) = refresh(&proxy.config, id) {
            let (acceptor, proxy) = (Rc::clone(acceptor), Rc::downgrade(&proxy));
            tokio::task::spawn_local(ask(acceptor, proxy, id, refresh));
        }
    }
}

/// The shortest of its routes; `None` where none of those lists models.
fn refresh(config: &Config, id: UpstreamId) -> Option<Duration> {
    let leads = |target| config.members(target).any(|member| member == id);
    let routes = config.routes.iter().filter_map(|route| route.models.as_deref());
    routes.filter(|models| models.targets().any(leads)).map(|models| models.refresh).min()
}

async fn ask(acceptor: Rc<Acceptor>, proxy: Weak<Proxy>, id: UpstreamId, refresh: Duration) {
    let mut failures = 0;
    loop {
        let in_force = acceptor.proxy();
        if !std::ptr::eq(Weak::as_ptr(&proxy), Rc::as_ptr(&in_force)) {
            return;
        }
        failures = if in_force.fetch_models(id).await { 0 } else { failures + 1 };
        drop(in_force);
        // Workers that begin together must not go on together.
        let pause = match failures {
            0 => refresh * 7 / 8 + backoff(refresh / 8, refresh / 8, 0, draw()),
            again => backoff(FIRST, LONGEST, again, draw()).min(refresh),
        };
        tokio::time::sleep(pause).await;
    }
}
