//! The process as its metrics show it, beside what its workers record. Not of the data path: locks and atomics.

pub(in crate::record) mod adaptive;
pub(in crate::record) mod ceilings;
pub(in crate::record) mod clients;
pub(in crate::record) mod configured;
pub(in crate::record) mod dns;
pub(in crate::record) mod expected;
pub(in crate::record) mod fanout;
pub(in crate::record) mod redis;
pub(in crate::record) mod store;
pub(in crate::record) mod streams;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::labels::{LabelId, Labels};
use crate::events::EventRoutes;
use adaptive::Adaptives;
use ceilings::Ceilings;
use clients::Clients;
use configured::Configured;
use dns::DnsMeters;
use expected::Expected;
use fanout::FanoutMeters;
use redis::RedisMeters;
use store::StoreMeter;
use streams::StreamMeters;

/// One process, from its start to its end.
pub(in crate::record) struct Instance {
    pub(in crate::record) labels: Arc<Labels>,
    /// How many workers there are meant to be.
    pub(in crate::record) workers: usize,
    pub(in crate::record) version: &'static str,
    pub(in crate::record) commit: &'static str,
    pub(in crate::record) started: Instant,
    pub(in crate::record) started_at: SystemTime,
    pub(in crate::record) ceilings: Arc<Ceilings>,
    pub(in crate::record) store: Arc<StoreMeter>,
    pub(in crate::record) configured: Configured,
    pub(in crate::record) expected: Expected,
    pub(in crate::record) adaptives: Adaptives,
    pub(in crate::record) clients: Clients,
    pub(in crate::record) redis: Arc<RedisMeters>,
    pub(in crate::record) fanout: Arc<FanoutMeters>,
    pub(in crate::record) streams: Arc<StreamMeters>,
    /// What is published on the routes of the configuration in force.
    pub(in crate::record) events: Mutex<EventRoutes>,
    /// Until when each file's certificate holds.
    certificates: Mutex<BTreeMap<String, SystemTime>>,
    /// By an upstream's label; none of those whose host is an address.
    dns: Mutex<BTreeMap<LabelId, Arc<DnsMeters>>>,
    /// Since when the process leaves.
    draining_since: OnceLock<Instant>,
}

impl Instance {
    pub(in crate::record) fn new(
        labels: Arc<Labels>,
        workers: usize,
        version: &'static str,
        commit: &'static str,
    ) -> Instance {
        Instance {
            labels,
            workers,
            version,
            commit,
            started: Instant::now(),
            started_at: SystemTime::now(),
            ceilings: Arc::default(),
            store: Arc::default(),
            configured: Configured::default(),
            expected: Expected::default(),
            adaptives: Adaptives::default(),
            clients: Clients::default(),
            redis: Arc::default(),
            fanout: Arc::default(),
            streams: Arc::default(),
            events: Mutex::default(),
            certificates: Mutex::default(),
            dns: Mutex::default(),
            draining_since: OnceLock::new(),
        }
    }

    pub(in crate::record) fn drains(&self) {
        self.draining_since.get_or_init(Instant::now);
    }

    /// These and no others.
    pub(in crate::record) fn set_certificates(&self, all: BTreeMap<String, SystemTime>) {
        *self.certificates.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }

    pub(in crate::record) fn certificates(&self) -> BTreeMap<String, SystemTime> {
        self.certificates.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(in crate::record) fn events(&self) -> EventRoutes {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(in crate::record) fn drained_for(&self) -> Option<Duration> {
        self.draining_since.get().map(Instant::elapsed)
    }

    /// The meters of an upstream's name; made when they are first asked for.
    pub(in crate::record) fn dns(&self, upstream: LabelId) -> Arc<DnsMeters> {
        let mut dns = self.dns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(dns.entry(upstream).or_default())
    }

    /// The same where they were made.
    pub(in crate::record) fn known_dns(&self, upstream: LabelId) -> Option<Arc<DnsMeters>> {
        self.dns.lock().unwrap_or_else(PoisonError::into_inner).get(&upstream).cloned()
    }
}
