//! What several processes have together, from one configuration to the next.

use std::sync::Arc;

use crate::events::Others;
use crate::fanout::Fanout;
use crate::record::Hub;
use crate::runtime::plan::Plan;
use crate::sharing::Shares;

/// Limits, streams and events that are shared where the configuration says so. Clones are the same.
#[derive(Clone)]
pub(in crate::runtime) struct Together {
    shares: Arc<Shares>,
    fanout: Arc<Fanout>,
}

impl Together {
    /// Nothing yet.
    pub(in crate::runtime) fn new(hub: &Arc<Hub>) -> Self {
        Self { shares: Arc::new(Shares::new(hub.redis())), fanout: Arc::new(Fanout::new(hub)) }
    }

    /// What is in force from now on. Waits for nothing.
    pub(in crate::runtime) fn follow(&self, plan: &Plan) {
        self.shares.follow(plan.config.redis.as_ref(), plan.clients.as_ref());
        self.fanout.follow(&plan.config, &plan.streams, &plan.events);
    }

    /// Says what is left to say to others. Waits for that, a second at most.
    pub(in crate::runtime) fn stop(&self) {
        self.shares.stop();
        self.fanout.stop();
    }

    /// Whose subscribers operators see and reach beside those of this process.
    pub(in crate::runtime) fn others(&self) -> Arc<dyn Others> {
        Arc::clone(&self.fanout) as Arc<dyn Others>
    }
}
