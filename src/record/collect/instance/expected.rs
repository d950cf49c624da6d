//! Which series the configuration makes possible, so that each stands at zero before it is first counted: a
//! counter that appears with a one is no increase to Prometheus.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::{Config, UpstreamId};
use crate::record::collect::labels::{LabelId, LabelIds, Labels};

/// Members of a group between which failovers stand at zero: the pairs grow with the square.
const MOST_MEMBERS: usize = 8;

/// Of all configurations since the start: what was counted stays.
#[derive(Default)]
pub(in crate::record) struct Expected(Mutex<Pairs>);

#[derive(Default)]
struct Pairs {
    /// A route and an upstream that it leads to; no upstream for what is refused on the route.
    requests: BTreeSet<(LabelId, Option<LabelId>)>,
    /// A route that goes by the model, and a pattern of its own, or the others.
    models: BTreeSet<(LabelId, LabelId)>,
    /// Two members of a group.
    failovers: BTreeSet<(LabelId, LabelId)>,
}

impl Expected {
    /// What this configuration, whose names have these labels, makes possible.
    pub(in crate::record) fn add(&self, config: &Config, label_ids: &LabelIds) {
        let mut pairs = self.pairs();
        let upstream = |id: UpstreamId| label_ids.upstreams.get(id.0).copied();
        for (route, label) in config.routes.iter().zip(&label_ids.routes) {
            pairs.requests.insert((*label, None));
            let members = route.targets().flat_map(|target| config.members(target));
            pairs.requests.extend(members.map(|id| (*label, upstream(id))));
            let patterns = route.models.iter().flat_map(|models| models.rules());
            let known = patterns.filter_map(|(glob, _)| {
                let nth = config.models.iter().position(|known| known == glob)?;
                label_ids.models.get(nth).copied()
            });
            let others = route.models.as_ref().map(|_| LabelId::OTHER_MODEL);
            pairs.models.extend(known.chain(others).map(|model| (*label, model)));
        }
        for group in config.groups.iter().filter(|group| group.members.len() <= MOST_MEMBERS) {
            let members: Vec<_> =
                group.members.iter().filter_map(|member| upstream(member.upstream)).collect();
            let each = members.iter().flat_map(|from| members.iter().map(move |to| (*from, *to)));
            pairs.failovers.extend(each.filter(|(from, to)| from != to));
        }
    }

    /// Routes and upstreams; those of a request that has neither first.
    pub(in crate::record) fn requests<'a>(
        &self,
        names: &'a Labels,
    ) -> BTreeSet<(&'a str, &'a str)> {
        let pairs = self.pairs();
        let words = |(route, to): &(LabelId, Option<LabelId>)| {
            (names.route(Some(*route)), names.upstream(*to))
        };
        let nowhere = std::iter::once((Labels::NONE, Labels::NONE));
        nowhere.chain(pairs.requests.iter().map(words)).collect()
    }

    /// Routes that go by the model, and patterns.
    pub(in crate::record) fn models<'a>(&self, names: &'a Labels) -> BTreeSet<(&'a str, &'a str)> {
        let words =
            |(route, model): &(LabelId, LabelId)| (names.route(Some(*route)), names.model(*model));
        self.pairs().models.iter().map(words).collect()
    }

    /// From which upstream to which other.
    pub(in crate::record) fn failovers<'a>(
        &self,
        names: &'a Labels,
    ) -> BTreeSet<(&'a str, &'a str)> {
        let name = |id: LabelId| names.upstream(Some(id));
        self.pairs().failovers.iter().map(|(from, to)| (name(*from), name(*to))).collect()
    }

    fn pairs(&self) -> MutexGuard<'_, Pairs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
