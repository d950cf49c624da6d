//! The record as the process has it: who records, what is collected, and what shows it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use super::collect::collector::{Collector, Totals};
use super::collect::failures::FailureLog;
use super::collect::instance::Instance;
use super::collect::instance::adaptive::AdaptiveShown;
use super::collect::instance::ceilings::Ceilings;
use super::collect::instance::clients::ClientsShown;
use super::collect::instance::dns::DnsMeters;
use super::collect::instance::fanout::FanoutMeters;
use super::collect::instance::redis::RedisMeters;
use super::collect::instance::store::StoreMeter;
use super::collect::instance::streams::StreamMeters;
use super::collect::labels::{Full, LabelIds, Labels};
use super::export::log_writer::LogWriter;
use super::export::{View, clients, events, metrics, stats};
use super::recorder::WorkerRecorder;
use crate::config::{AccessLog, Config, LogFormat, UpstreamId};
use crate::events::EventRoutes;

/// What the hub needs to know.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How many workers there are meant to be.
    pub workers: usize,
    /// The routes' names, in the configuration's order.
    pub routes: Vec<String>,
    /// The upstreams' names, in the configuration's order; distinct.
    pub upstreams: Vec<String>,
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// What its lines look like.
    pub log_format: LogFormat,
    /// For `build_info`.
    pub version: &'static str,
    /// For `build_info`.
    pub commit: &'static str,
}

/// Collects what the workers record, and shows it. Shared by the admin listener and whoever
/// starts workers.
pub struct Hub {
    instance: Instance,
    collector: Collector,
    log: Option<LogWriter>,
    failures: Arc<FailureLog>,
}

impl Hub {
    /// Opens the access log and starts its thread. Fails if the log's file cannot be opened.
    pub fn new(setup: Setup) -> io::Result<Hub> {
        let Setup { workers, routes, upstreams, access_log, log_format, version, commit } = setup;
        let labels = Arc::new(Labels::new(routes, upstreams));
        Ok(Hub {
            log: LogWriter::start(&access_log, log_format, Arc::clone(&labels))?,
            failures: Arc::new(FailureLog::new(Arc::clone(&labels))),
            collector: Collector::new(Arc::clone(&labels)),
            instance: Instance::new(labels, workers, version, commit),
        })
    }

    /// What the process is bounded by, to be set by whoever bounds it.
    pub fn ceilings(&self) -> &Arc<Ceilings> {
        &self.instance.ceilings
    }

    /// Whether what is kept gets to the disk.
    pub fn store(&self) -> &Arc<StoreMeter> {
        &self.instance.store
    }

    /// The limits that move, of routes and of upstreams; those that were shown before are not any more.
    pub fn set_adaptives(&self, all: (Vec<AdaptiveShown>, Vec<AdaptiveShown>)) {
        self.instance.adaptives.set(all);
    }

    /// A recorder for the worker of this index, or for the one that takes an ended worker's place.
    pub fn worker(&self, index: usize) -> WorkerRecorder {
        WorkerRecorder {
            labels: Arc::clone(&self.instance.labels),
            link: self.collector.link(index),
            outbox: self.log.as_ref().and_then(LogWriter::outbox),
            failures: Arc::clone(&self.failures),
        }
    }

    /// Opens the access log's file again by its name, as log rotation wants it. Waits for nothing: the log's
    /// own thread says what became of it.
    pub fn reopen_log(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
    }

    /// Lines of the access log look like this from now on.
    pub fn reformat_log(&self, format: &LogFormat) {
        if let Some(log) = &self.log {
            log.reformat(format);
        }
    }

    /// The process leaves from now on; only the first call counts.
    pub fn drains(&self) {
        self.instance.drains();
    }

    /// For how long the process has been leaving; `None` while it is not.
    pub fn drained_for(&self) -> Option<Duration> {
        self.instance.drained_for()
    }

    /// Where a new configuration's routes, upstreams and models are counted, in its order; what has a name that
    /// was here before goes on being counted with it.
    ///
    /// # Errors
    /// More names than one process can count.
    pub fn label_ids(
        &self,
        routes: &[&str],
        upstreams: &[&str],
        models: &[&str],
    ) -> Result<LabelIds, Full> {
        self.instance.labels.label_ids(routes, upstreams, models)
    }

    /// What a configuration can lead to is shown from now on, counted or not. `label_ids` are those of its
    /// names.
    pub fn expect(&self, config: &Config, label_ids: &LabelIds) {
        self.instance.expected.add(config, label_ids);
    }

    /// The process began with the configuration of this digest.
    pub fn config_begun(&self, digest: &str) {
        self.instance.configured.begun(digest);
    }

    /// A reload put the configuration of this digest in force.
    pub fn config_applied(&self, digest: &str) {
        self.instance.configured.applied(digest);
    }

    /// A reload left the old configuration in force.
    pub fn config_refused(&self) {
        self.instance.configured.refused();
    }

    /// The listeners' certificates by their files, and until when they hold.
    pub fn set_certificates(&self, all: BTreeMap<String, SystemTime>) {
        self.instance.set_certificates(all);
    }

    /// Who counts clients from now on; `None`: nobody.
    pub fn show_clients(&self, source: Option<Arc<dyn Fn() -> ClientsShown + Send + Sync>>) {
        self.instance.clients.set(source);
    }

    /// What is published is counted there from now on.
    pub fn show_events(&self, events: EventRoutes) {
        *self.instance.events.lock().unwrap_or_else(PoisonError::into_inner) = events;
    }

    /// What is published, where pages show it.
    pub fn events(&self) -> EventRoutes {
        self.instance.events()
    }

    /// Who is connected to read what is published or kept, as JSON.
    pub fn connected(&self) -> String {
        format!("{:#}\n", events::connected(&self.instance.events()))
    }

    /// What there is to say of one client, as JSON; `None` where there is none of that name.
    pub fn client(&self, name: &str) -> Option<String> {
        let shown = self.instance.clients.shown()?;
        Some(format!("{:#}\n", clients::one(&shown, name)?))
    }

    /// The meters of the name of a configuration's upstream.
    pub fn dns(&self, label_ids: &LabelIds, upstream: UpstreamId) -> Arc<DnsMeters> {
        let label = label_ids.upstreams.get(upstream.0);
        label.map(|label| self.instance.dns(*label)).unwrap_or_default()
    }

    /// The meters of limits that are shared.
    pub fn redis(&self) -> &Arc<RedisMeters> {
        &self.instance.redis
    }

    /// The meters of streams and events that are shared.
    pub fn fanout(&self) -> &Arc<FanoutMeters> {
        &self.instance.fanout
    }

    /// The meters of streams that are kept.
    pub fn streams(&self) -> &Arc<StreamMeters> {
        &self.instance.streams
    }

    /// All metrics in Prometheus' text format, version 0.0.4. Waits for the workers, at most a
    /// second. Dropping the future loses nothing.
    pub async fn metrics(&self) -> String {
        let totals = self.collector.collect().await;
        metrics::render(&self.view(&totals))
    }

    /// The same as JSON with exact quantiles.
    pub async fn stats(&self) -> String {
        let totals = self.collector.collect().await;
        stats::render(&self.view(&totals))
    }

    fn view<'a>(&'a self, totals: &'a Totals) -> View<'a> {
        let log_dropped = self.log.as_ref().map_or(0, LogWriter::dropped);
        View { instance: &self.instance, totals, log_dropped }
    }

    /// Waits until every access log line is written, at most `within`; says whether all were.
    /// Blocks: call it at the very end, when the workers' threads are gone.
    pub fn finish(&self, within: Duration) -> bool {
        self.log.as_ref().is_none_or(|log| log.finish(within))
    }
}
