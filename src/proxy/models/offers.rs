//! The upstreams' lists of models, as they were last fetched, and the list that a route makes of them.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Notify;

use crate::config::{ByModel, Config, Target, UpstreamId};
use crate::error::Kind;
use crate::proxy::Proxy;

/// A list that cannot be fetched again is used for so many times the interval.
const STALE: u32 = 12;

/// At the start a request for the list waits for so long for upstreams that were not asked yet.
const PATIENCE: Duration = Duration::from_secs(2);

/// One worker's: an entry for each upstream, by [`UpstreamId`].
#[derive(Default)]
pub struct Offers {
    upstreams: RefCell<Vec<Offer>>,
    /// Some upstream was asked.
    changed: Notify,
}

/// Of one upstream.
#[derive(Clone, Default)]
struct Offer {
    /// It was asked, whatever came of it.
    asked: bool,
    list: Option<(Instant, Rc<[Entry]>)>,
}

/// One model of a list.
pub(super) struct Entry {
    id: Box<str>,
    /// The whole entry, as JSON.
    text: Box<str>,
}

impl Offers {
    /// Nothing is known yet.
    pub fn new(upstreams: usize) -> Self {
        let upstreams = RefCell::new(vec![Offer::default(); upstreams]);
        Self { upstreams, changed: Notify::new() }
    }

    /// Goes on with what was known of upstreams of the same name.
    pub fn succeed(&self, config: &Config, before: &Self, then: &Config) {
        let known = before.upstreams.borrow();
        for (offer, upstream) in self.upstreams.borrow_mut().iter_mut().zip(&config.upstreams) {
            let same = then.upstreams.iter().position(|then| then.name == upstream.name);
            if let Some(old) = same.and_then(|nth| known.get(nth)) {
                offer.clone_from(old);
            }
        }
    }

    /// What came of asking an upstream; `None` where it did not say.
    pub(super) fn asked(&self, id: UpstreamId, list: Option<Rc<[Entry]>>, now: Instant) {
        if let Some(offer) = self.upstreams.borrow_mut().get_mut(id.0) {
            offer.asked = true;
            if let Some(list) = list {
                offer.list = Some((now, list));
            }
        }
        self.changed.notify_waiters();
    }

    fn all_asked(&self, ids: &[UpstreamId]) -> bool {
        let upstreams = self.upstreams.borrow();
        ids.iter().all(|id| upstreams.get(id.0).is_none_or(|offer| offer.asked))
    }

    /// No older than that.
    fn list(&self, id: UpstreamId, age: Duration, now: Instant) -> Option<Rc<[Entry]>> {
        let upstreams = self.upstreams.borrow();
        let (at, list) = upstreams.get(id.0)?.list.as_ref()?;
        (now.saturating_duration_since(*at) <= age).then(|| Rc::clone(list))
    }
}

impl Proxy {
    /// The models that a route leads to, as the API lists them: of each upstream those that the route would send
    /// there. Of an id that several list the first counts.
    ///
    /// # Errors
    /// [`Kind::ModelsUnknown`]: no upstream has said what it has.
    pub(super) async fn list_models(
        &self,
        models: &ByModel,
        allowed: impl Fn(&str) -> bool,
    ) -> Result<Bytes, Kind> {
        let members = self.members(models);
        let ids: Vec<_> = members.iter().map(|(_, id)| *id).collect();
        let all = async {
            loop {
                let changed = self.offers.changed.notified();
                if self.offers.all_asked(&ids) {
                    break;
                }
                changed.await;
            }
        };
        let _in_time = tokio::time::timeout(PATIENCE, all).await;
        let (now, age) = (Instant::now(), models.refresh * STALE);
        let lists = members
            .iter()
            .filter_map(|(target, id)| self.offers.list(*id, age, now).map(|list| (*target, list)));
        let lists: Vec<_> = lists.collect();
        if lists.is_empty() {
            return Err(Kind::ModelsUnknown);
        }
        let mut shown = HashSet::new();
        let mut text = String::from("{\"object\":\"list\",\"data\":[");
        for (target, list) in &lists {
            for entry in list.iter() {
                let leads_here = models.target(&entry.id) == Some(*target);
                if leads_here && allowed(&entry.id) && shown.insert(&*entry.id) {
                    if shown.len() > 1 {
                        text.push(',');
                    }
                    text.push_str(&entry.text);
                }
            }
        }
        text.push_str("]}");
        Ok(text.into())
    }

    /// Everyone that a route leads to, each with the target that he is of; each pair once.
    fn members(&self, models: &ByModel) -> Vec<(Target, UpstreamId)> {
        let mut members: Vec<(Target, UpstreamId)> = Vec::new();
        for target in models.targets() {
            if members.iter().all(|(known, _)| *known != target) {
                members.extend(self.config.members(target).map(|id| (target, id)));
            }
        }
        members
    }
}

/// The entries of a list as the API and those after it give it: `{"data": [{"id": …}, …]}`. `None` where it is
/// something else; an entry without an id is left out.
pub(super) fn parse(body: &[u8]) -> Option<Rc<[Entry]>> {
    let list: Value = serde_json::from_slice(body).ok()?;
    let entry = |value: &Value| {
        let id = value.get("id")?.as_str()?.into();
        Some(Entry { id, text: value.to_string().into() })
    };
    Some(list.get("data")?.as_array()?.iter().filter_map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_entry_by_entry_and_what_is_none_is_not() {
        let list =
            parse(br#"{"object":"list","data":[{"z":1,"id":"a","x":1.5},{"no":1},{"id":"b"}]}"#);
        let list = list.unwrap();
        let texts: Vec<_> = list.iter().map(|entry| (&*entry.id, &*entry.text)).collect();
        assert_eq!(texts, [("a", r#"{"z":1,"id":"a","x":1.5}"#), ("b", r#"{"id":"b"}"#)]);
        for wrong in ["", "[]", "{}", r#"{"data":{}}"#, "<html>"] {
            assert!(parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
        assert!(parse(br#"{"data":[]}"#).unwrap().is_empty());
    }

    #[test]
    fn what_could_not_be_fetched_again_stands_until_it_is_too_old() {
        let (offers, now) = (Offers::new(1), Instant::now());
        let id = UpstreamId(0);
        assert!(!offers.all_asked(&[id]));
        offers.asked(id, None, now);
        assert!(offers.all_asked(&[id]) && offers.list(id, Duration::MAX, now).is_none());
        offers.asked(id, parse(br#"{"data":[{"id":"a"}]}"#), now);
        offers.asked(id, None, now + Duration::from_secs(5));
        let age = Duration::from_secs(60);
        assert_eq!(offers.list(id, age, now + age).unwrap().len(), 1);
        assert!(offers.list(id, age, now + age + Duration::from_nanos(1)).is_none());
    }
}
