//! Every upstream of a configuration tried once, by all that a worker would use for a request, and no client.

use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::{Builder, LocalOptions};

use super::error::StartError;
use super::plan::{Baseline, CheckedConfig};
use super::reloading::build::{Built, first};
use super::start::hub;
use crate::config::{AccessLog, Config};
use crate::proxy::Tried;

/// No client comes: there is nothing that descriptors could be short for.
const DESCRIPTORS: u64 = 1 << 20;

/// Connects to every upstream and asks it for its models, all at once; what came of it, in the configuration's
/// order. Blocks for as long as the slowest takes: its connect deadlines and ten seconds for the answer.
///
/// # Errors
/// The configuration cannot be started with: a certificate that cannot be used, for one.
pub fn try_out(mut config: Config) -> Result<Vec<(String, Tried)>, StartError> {
    config.access_log = AccessLog::Off;
    for upstream in &mut config.upstreams {
        // The one that is tried is the only one.
        upstream.pool.min_connections = 0;
    }
    let hub = hub(&config)?;
    let checked = CheckedConfig::new(config, Baseline::Descriptors(DESCRIPTORS))?;
    let label_ids = checked.label_ids(&hub).unwrap_or_default();
    let plan = checked.plan(label_ids, &hub)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|error| StartError::Io("start a runtime", error))?;
    runtime.block_on(async {
        let recorder = hub.worker(0).start();
        let Some(Built { proxy, .. }) = first(&plan, &recorder, 0) else { return Ok(Vec::new()) };
        let (proxy, config) = (Rc::new(proxy), Arc::clone(&plan.config));
        let trying: Vec<_> = config
            .upstreams_by_id()
            .map(|(id, upstream)| {
                let proxy = Rc::clone(&proxy);
                let trying = tokio::task::spawn_local(async move { proxy.try_out(id).await });
                (upstream.name.clone(), trying)
            })
            .collect();
        let mut tried = Vec::with_capacity(trying.len());
        for (name, trying) in trying {
            // One that panicked has said so on stderr.
            tried.extend(trying.await.ok().flatten().map(|result| (name, result)));
        }
        Ok(tried)
    })
}
