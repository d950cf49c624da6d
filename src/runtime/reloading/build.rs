//! A worker's proxy, made of a plan and of what goes on from the one before.

use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;

use crate::admit::Stock;
use crate::config::{LogField, Upstream as Meant, UpstreamId};
use crate::proxy::{Keeper, Offers, Proxy, Upstream};
use crate::record::{Pseudonyms, Recorder};
use crate::relay::head::UpstreamHead;
use crate::route::{Groups, Table};
use crate::runtime::plan::Plan;
use crate::upstream::{HealthTracker, Pool, PoolHandle};

/// What is in force, and is to be followed.
#[derive(Clone, Copy)]
pub(in crate::runtime) struct Before<'a> {
    pub(in crate::runtime) plan: &'a Plan,
    pub(in crate::runtime) proxy: &'a Proxy,
}

/// A proxy that nobody asks yet.
pub(in crate::runtime) struct Built {
    pub(in crate::runtime) proxy: Proxy,
    /// Pools that it does not share with the one before; not started.
    pub(in crate::runtime) fresh: Vec<Rc<Pool>>,
}

/// The first proxy of a worker. `None` where the plan was not checked.
pub(in crate::runtime) fn first(plan: &Plan, recorder: &Recorder, worker: usize) -> Option<Built> {
    build(plan, recorder, worker, None)
}

/// One that follows another: upstreams whose connections are the same keep their pools.
pub(in crate::runtime) fn next(
    plan: &Plan,
    before: Before<'_>,
    recorder: &Recorder,
    worker: usize,
) -> Option<Built> {
    build(plan, recorder, worker, Some(before))
}

fn build(
    plan: &Plan,
    recorder: &Recorder,
    worker: usize,
    before: Option<Before<'_>>,
) -> Option<Built> {
    let config = &plan.config;
    let mut fresh = Vec::new();
    let mut upstreams = Vec::with_capacity(config.upstreams.len());
    for (index, meant) in config.upstreams.iter().enumerate() {
        let id = UpstreamId(index);
        let same = before.and_then(|before| same(plan, id, before));
        let pool = if let Some(same) = same {
            same.pool.clone()
        } else {
            let (tls, name) = (plan.tls(id), plan.name(id)?);
            let meant = Arc::new(meant.clone());
            let heads = plan.answer_heads();
            let pool = Pool::new(id, meant, tls, name, heads, recorder.clone()).ok()?;
            fresh.push(Rc::clone(&pool));
            PoolHandle::new(pool)
        };
        let name = HeaderValue::try_from(&meant.name).ok()?;
        let known = same.or_else(|| before.and_then(|before| at_its_address(meant, before)));
        let health = if let Some(known) = known {
            // Shared, so that what requests of the old configuration still see counts.
            Rc::clone(&known.health)
        } else {
            let outage = Arc::clone(plan.name(id)?.outage());
            HealthTracker::new(meant.health, &meant.name, recorder.clone(), id, outage)
        };
        let head = UpstreamHead::new(meant, config.via).ok()?;
        let limit = plan.admission.upstream(id);
        upstreams.push(Upstream { pool, head, name, health, limit });
    }
    let stock = before.map(|before| Rc::clone(&before.proxy.stock));
    let stock = stock
        .unwrap_or_else(|| Stock::new(plan.admission.pressure().clone(), config.workers.get()));
    let tells = config.access_log_format.has(LogField::Hashed);
    let keeper = before.map(|before| before.proxy.keeper.clone());
    let proxy = Proxy {
        config: Arc::clone(config),
        table: Table::new(&config.routes),
        groups: Groups::new(config, worker),
        upstreams,
        admission: plan.admission.clone(),
        clients: plan.clients.clone(),
        pseudonyms: config.privacy.as_ref().map(|privacy| Pseudonyms::new(privacy, tells)),
        stock,
        offers: Offers::new(config.upstreams.len()),
        events: plan.events.clone(),
        keeper: keeper.unwrap_or_else(|| Keeper::new(Arc::clone(&plan.streams))),
        recorder: recorder.clone(),
    };
    Some(Built { proxy, fresh })
}

/// The upstream whose connections serve this one too.
fn same<'a>(plan: &Plan, id: UpstreamId, before: Before<'a>) -> Option<&'a Upstream> {
    before.proxy.upstreams.get(plan.same_as(id, before.plan)?.0)
}

/// The one that was asked by this name at this place: what is known of it holds, whatever else changed.
fn at_its_address<'a>(meant: &Meant, before: Before<'a>) -> Option<&'a Upstream> {
    let place = |of: &Meant| (of.scheme, of.host.clone(), of.port, of.socket.clone());
    let mut known = before.plan.config.upstreams.iter().zip(&before.proxy.upstreams);
    let same = |then: &Meant| then.name == meant.name && place(then) == place(meant);
    known.find(|(then, _)| same(then)).map(|(_, upstream)| upstream)
}
