//! Names of what is counted, for labels and lines. What once had a place keeps it: a reload adds names
//! and takes none away, so that counters of what is gone stay where they were.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Names that reloads may add to those of the start. Each costs its series for the life of the process:
/// a bound, or names made by a machine would fill the memory and every scrape.
const MORE: usize = 1024;

/// What records number, by name.
pub(in crate::record) struct Labels {
    pub(in crate::record) routes: LabelTable,
    pub(in crate::record) upstreams: LabelTable,
    /// Patterns over models; the first is [`Labels::OTHER`].
    pub(in crate::record) models: LabelTable,
}

/// Names in the order of their places. Read without a lock.
pub(in crate::record) struct LabelTable {
    entries: Box<[OnceLock<String>]>,
    taken: AtomicUsize,
    adding: Mutex<()>,
}

/// Where a name is counted: its index among the labels of routes, or of upstreams. Labels outlive the
/// configuration that brought them, so this is another number than
/// [`RouteId`](crate::config::RouteId) and [`UpstreamId`](crate::config::UpstreamId), which change with a
/// reload; only `Slots` leads from one to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::record) struct LabelId(pub(super) usize);

impl LabelId {
    /// Of what the configuration lacks: no label has it, and nothing is counted there.
    pub(in crate::record) const NOWHERE: LabelId = LabelId(usize::MAX);

    /// Of models that no pattern takes.
    pub(in crate::record) const OTHER_MODEL: LabelId = LabelId(0);

    /// The label's place in a list that is in the labels' order.
    pub(in crate::record) fn index(self) -> usize {
        self.0
    }
}

/// Where the routes, upstreams and models of one configuration are counted, in its order.
#[derive(Debug, Clone, Default)]
pub struct LabelIds {
    pub(in crate::record) routes: Vec<LabelId>,
    pub(in crate::record) upstreams: Vec<LabelId>,
    pub(in crate::record) models: Vec<LabelId>,
}

/// There is no place left for a new name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "more than {MORE} new route, upstream or model names since the process started")
    }
}

impl std::error::Error for Full {}

impl Labels {
    /// The label of what was never chosen.
    pub(in crate::record) const NONE: &'static str = "none";
    /// The label of models that no pattern takes.
    const OTHER: &'static str = "other";

    pub(in crate::record) fn new(routes: Vec<String>, upstreams: Vec<String>) -> Labels {
        let models = LabelTable::new(vec![Labels::OTHER.to_owned()]);
        Labels { routes: LabelTable::new(routes), upstreams: LabelTable::new(upstreams), models }
    }

    pub(in crate::record) fn route(&self, id: Option<LabelId>) -> &str {
        id.and_then(|id| self.routes.get(id)).map_or(Labels::NONE, String::as_str)
    }

    pub(in crate::record) fn upstream(&self, id: Option<LabelId>) -> &str {
        id.and_then(|id| self.upstreams.get(id)).map_or(Labels::NONE, String::as_str)
    }

    pub(in crate::record) fn model(&self, id: LabelId) -> &str {
        self.models.get(id).map_or(Labels::OTHER, String::as_str)
    }

    /// The places of these names; those that are new get one. Where there is not one for each, none does.
    pub(in crate::record) fn label_ids(
        &self,
        routes: &[&str],
        upstreams: &[&str],
        models: &[&str],
    ) -> Result<LabelIds, Full> {
        let has_room = self.routes.has_room(routes) && self.upstreams.has_room(upstreams);
        if !(has_room && self.models.has_room(models)) {
            return Err(Full);
        }
        Ok(LabelIds {
            models: self.models.label_ids(models)?,
            routes: self.routes.label_ids(routes)?,
            upstreams: self.upstreams.label_ids(upstreams)?,
        })
    }
}

impl LabelTable {
    fn new(names: Vec<String>) -> LabelTable {
        let taken = AtomicUsize::new(names.len());
        let free = (0..MORE).map(|_| OnceLock::new());
        let entries = names.into_iter().map(OnceLock::from).chain(free).collect();
        LabelTable { entries, taken, adding: Mutex::default() }
    }

    pub(in crate::record) fn len(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }

    /// A label for each name that there is now.
    pub(in crate::record) fn ids(&self) -> impl Iterator<Item = LabelId> {
        (0..self.len()).map(LabelId)
    }

    fn get(&self, id: LabelId) -> Option<&String> {
        self.entries.get(id.0)?.get()
    }

    pub(in crate::record) fn iter(&self) -> impl Iterator<Item = &String> + Clone {
        self.entries.iter().map_while(OnceLock::get)
    }

    fn has_room(&self, names: &[&str]) -> bool {
        let is_new = |name: &&&str| !self.iter().any(|known| known == **name);
        names.iter().filter(is_new).count() <= self.entries.len() - self.len()
    }

    fn label_ids(&self, names: &[&str]) -> Result<Vec<LabelId>, Full> {
        // One adds at a time, or a name could get two places.
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().map(|name| self.label_id(name)).collect()
    }

    fn label_id(&self, name: &str) -> Result<LabelId, Full> {
        if let Some(known) = self.iter().position(|known| known == name) {
            return Ok(LabelId(known));
        }
        let next = self.len();
        self.entries.get(next).ok_or(Full)?.set(name.to_owned()).map_err(|_taken| Full)?;
        self.taken.store(next + 1, Ordering::Release);
        Ok(LabelId(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_place_and_a_new_one_gets_the_next() {
        let names = Labels::new(vec!["/v1".into()], vec!["a".into(), "b".into()]);
        let label_ids = names.label_ids(&["/v2", "/v1"], &["c", "a"], &["gpt-*"]).unwrap();
        assert_eq!(label_ids.routes, [LabelId(1), LabelId(0)]);
        assert_eq!(label_ids.upstreams, [LabelId(2), LabelId(0)]);
        assert_eq!((&*label_ids.models, names.model(LabelId(1))), (&[LabelId(1)][..], "gpt-*"));
        assert_eq!(names.model(LabelId::OTHER_MODEL), "other");
        assert_eq!(names.upstreams.iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(names.upstream(Some(LabelId(2))), "c");
        assert_eq!(names.route(Some(LabelId(9))), Labels::NONE);
    }

    #[test]
    fn names_without_end_are_refused() {
        let names = Labels::new(Vec::new(), Vec::new());
        for nth in 0..MORE {
            assert!(names.label_ids(&[], &[&format!("u{nth}")], &[]).is_ok());
        }
        assert_eq!(names.label_ids(&[], &["u7"], &[]).unwrap().upstreams, [LabelId(7)]);
        assert_eq!(names.label_ids(&[], &["one more"], &[]).unwrap_err(), Full);
        assert_eq!(names.label_ids(&["/v1"], &["one more"], &["gpt-*"]).unwrap_err(), Full);
        assert_eq!(names.routes.len(), 0, "none is taken for what is refused");
    }
}
