//! A second upstream asked beside the first: what it goes through apart, and what of it counts.

use std::rc::Rc;
use std::time::Duration;

use super::Record;
use crate::config::UpstreamId;
use crate::record::collect::finished::Hedged;
use crate::record::collect::labels::LabelId;
use crate::record::collect::recordings::FailoverKey;
use crate::record::outcome::{FailoverReason, HedgeEnd};

/// A hedge under way. Two attempts of one request must not stamp one record: this one's stamps are kept
/// apart until it is known whose count. Dropped before that (the client left), it counts as abandoned.
pub struct Hedge {
    whole: Rc<Record>,
    own: Rc<Record>,
    after: Duration,
    end: HedgeEnd,
    first_failed: Option<FailoverReason>,
}

impl Hedge {
    /// `whole`'s request is sent to this upstream too, so long `after` the first was asked.
    pub fn send(whole: &Rc<Record>, upstream: UpstreamId, after: Duration) -> Self {
        Self {
            own: Record::open_hedge(whole, upstream),
            whole: Rc::clone(whole),
            after,
            end: HedgeEnd::Abandoned,
            first_failed: None,
        }
    }

    /// Where this attempt's stamps go.
    pub fn record(&self) -> &Rc<Record> {
        &self.own
    }

    /// The first failed; this one goes on alone.
    pub fn first_failed(&mut self, why: FailoverReason) {
        self.first_failed = Some(why);
    }

    /// This one's answer counts.
    pub fn answered(mut self) {
        let alone = self.first_failed.is_some();
        self.end = if alone { HedgeEnd::StoodIn } else { HedgeEnd::Won };
    }

    /// The first answered; this one is cancelled.
    pub fn overtaken(mut self) {
        self.end = HedgeEnd::Lost;
    }

    /// This one failed.
    pub fn failed(mut self) {
        self.end = HedgeEnd::Failed;
    }

    /// The request is this upstream's from now on, and its stamps are those of this attempt.
    fn take_over(&self) {
        let (mut own, mut whole) = (self.own.state.borrow_mut(), self.whole.state.borrow_mut());
        let mut active = self.whole.ledger.active.borrow_mut();
        // What is known so far is of the first.
        whole.settle(&mut active);
        let first = std::mem::replace(&mut whole.facts.upstream, own.facts.upstream);
        whole.facts.upstream_version = own.facts.upstream_version;
        whole.facts.cold |= own.facts.cold;
        whole.head_sent = own.head_sent;
        whole.unsettled = std::mem::take(&mut own.unsettled);
        if let Some(waited) = own.facts.pool_wait {
            whole.facts.pool_wait = Some(whole.facts.pool_wait.unwrap_or_default() + waited);
        }
        if let (Some(from), Some(to), Some(reason)) = (first, own.facts.upstream, self.first_failed)
        {
            whole.facts.left.push((from, reason));
            *active.failovers.entry(FailoverKey { from, to, reason }).or_default() += 1;
        }
    }
}

impl Drop for Hedge {
    fn drop(&mut self) {
        let to = self.own.state.borrow().facts.upstream.unwrap_or(LabelId::NOWHERE);
        let loser = match self.end {
            HedgeEnd::Won => Some(&self.whole),
            HedgeEnd::Lost => Some(&self.own),
            HedgeEnd::StoodIn | HedgeEnd::Failed | HedgeEnd::Abandoned => None,
        };
        // One that was still waiting for a stream has cost nothing.
        let loser = loser.map(|record| record.state.borrow());
        let loser = loser.and_then(|state| state.head_sent.and(state.facts.upstream));
        {
            let mut active = self.whole.ledger.active.borrow_mut();
            active.upstream(to, |upstream| upstream.hedges[self.end as usize] += 1);
            if let Some(loser) = loser {
                active.upstream(loser, |upstream| upstream.overtaken += 1);
            }
        }
        if self.first_failed.is_some() || self.end == HedgeEnd::Won {
            self.take_over();
        }
        let first_is_left = self.first_failed.is_some();
        let hedged = Hedged { to, after: self.after, end: self.end, first_is_left };
        self.whole.state.borrow_mut().facts.hedge = Some(Box::new(hedged));
    }
}
