//! Where the requests of one configuration are counted: from its indices, which change with each reload, to
//! labels, which do not.

use std::rc::Rc;

use super::labels::{LabelId, LabelIds};
use super::ledger::Ledger;
use super::meters::UpstreamMeters;
use crate::config::{ModelId, RouteId, UpstreamId};

/// Of one worker and configuration. Requests that began under it keep it.
pub(in crate::record) struct Slots {
    /// By [`RouteId`].
    routes: Vec<LabelId>,
    /// By [`UpstreamId`].
    upstreams: Vec<Rc<UpstreamMeters>>,
    /// By [`ModelId`].
    models: Vec<LabelId>,
    /// Stands for those that the configuration lacks; nobody reads it.
    lacking: Rc<UpstreamMeters>,
}

impl Slots {
    pub(in crate::record) fn new(ledger: &Ledger, label_ids: &LabelIds) -> Slots {
        Slots {
            routes: label_ids.routes.clone(),
            models: label_ids.models.clone(),
            upstreams: label_ids.upstreams.iter().map(|label| ledger.meters(*label)).collect(),
            lacking: ledger.lacking(),
        }
    }

    pub(in crate::record) fn route(&self, id: RouteId) -> LabelId {
        self.routes.get(id.0).copied().unwrap_or(LabelId::NOWHERE)
    }

    /// `None`: of a model that no pattern takes.
    pub(in crate::record) fn model(&self, id: Option<ModelId>) -> LabelId {
        let label = id.and_then(|id| self.models.get(id.0));
        label.copied().unwrap_or(LabelId::OTHER_MODEL)
    }

    pub(in crate::record) fn upstream(&self, id: UpstreamId) -> LabelId {
        self.meters(id).label()
    }

    pub(in crate::record) fn meters(&self, id: UpstreamId) -> &UpstreamMeters {
        self.upstreams.get(id.0).unwrap_or(&self.lacking)
    }
}
