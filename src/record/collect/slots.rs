//! Where the requests of one configuration are counted: its numbers, which change with each reload, beside
//! places, which do not.

use std::rc::Rc;

use super::labels::LabelIds;
use super::ledger::Ledger;
use super::meters::UpstreamMeters;

/// Of one worker and configuration. Requests that began under it keep it.
pub(in crate::record) struct Slots {
    routes: Vec<usize>,
    upstreams: Vec<Rc<UpstreamMeters>>,
    /// Stands for those that the configuration lacks; nobody reads it.
    lacking: Rc<UpstreamMeters>,
}

impl Slots {
    pub(in crate::record) fn new(ledger: &Ledger, label_ids: &LabelIds) -> Slots {
        Slots {
            routes: label_ids.routes.clone(),
            upstreams: label_ids.upstreams.iter().map(|place| ledger.meters(*place)).collect(),
            lacking: ledger.lacking(),
        }
    }

    /// The place of the configuration's route `id`.
    pub(in crate::record) fn route(&self, id: usize) -> usize {
        self.routes.get(id).copied().unwrap_or(usize::MAX)
    }

    /// The place of the configuration's upstream `id`.
    pub(in crate::record) fn upstream(&self, id: usize) -> usize {
        self.meters(id).place()
    }

    pub(in crate::record) fn meters(&self, id: usize) -> &UpstreamMeters {
        self.upstreams.get(id).unwrap_or(&self.lacking)
    }
}
