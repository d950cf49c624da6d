//! What a name has: its last events, bounded, in order. Pure: it knows no subscriber and no lock.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::events::cursor::Cursor;
use crate::events::draft::{Draft, EARLIEST};
use crate::events::id::{Epoch, OwnId, Stamp};

/// Events that are there for subscribers who are a little behind, also where less history is wanted: a burst of this
/// many between two turns of a worker drops nobody.
const LIVE: usize = 1024;

/// What an event costs beside its bytes: its entry, and the head of its allocation.
const OVERHEAD: usize = 128;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Events that whoever comes later can have.
    pub history: usize,
    /// Bytes of events.
    pub bytes: usize,
}

/// The last events of a name. Places count up from 0 and never back, also over epochs.
#[derive(Debug)]
pub(super) struct Ring {
    epoch: Epoch,
    /// The place of the first entry.
    first: u64,
    entries: VecDeque<Entry>,
    /// By ids that publishers chose; of two that are the same, the earlier.
    chosen: HashMap<Box<str>, u64>,
    bytes: usize,
    history: usize,
    /// The id of the last event that is not there any more, of this epoch.
    before: Option<Box<str>>,
    /// Of the last event of this epoch, also if it is gone.
    last: Option<Stamp>,
}

#[derive(Debug)]
struct Entry {
    stamp: Stamp,
    chosen: Option<Box<str>>,
    event: Bytes,
}

/// Where a subscriber begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Start {
    /// The place of the first event for it.
    pub place: u64,
    /// The id of the event in front of that, or `earliest`. Other than what was asked for, it means that events are
    /// missing between the two.
    pub behind: Box<str>,
}

impl Ring {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            first: 0,
            entries: VecDeque::new(),
            chosen: HashMap::new(),
            bytes: 0,
            history: usize::MAX,
            before: None,
            last: None,
        }
    }

    /// The name begins anew. Who is at the end goes on; all others are behind what there is.
    pub(super) fn restart(&mut self, epoch: Epoch) {
        *self = Self { first: self.end(), history: self.history, ..Self::new(epoch) };
    }

    /// Events are missing from here on. Who is at the end is behind too.
    pub(super) fn skip(&mut self) {
        *self = Self { first: self.end() + 1, history: self.history, ..Self::new(self.epoch) };
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The place of the next event.
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What it has in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The stamp of the event that was published last.
    pub(super) fn last(&self) -> Option<Stamp> {
        self.last
    }

    /// Whether a publisher chose this id for an event that is still there.
    pub(super) fn has_chosen(&self, id: &str) -> bool {
        self.chosen.contains_key(id)
    }

    /// Adds events in order, each with a stamp above the one before, and drops the oldest ones that are too many; never
    /// one of these. The id of the last.
    pub(super) fn push(
        &mut self,
        events: impl IntoIterator<Item = (Stamp, Draft)>,
        keep: Keep,
    ) -> Box<str> {
        let begin = self.end();
        for (stamp, draft) in events {
            let id = self.id(stamp, draft.id.as_deref());
            let event = draft.encode(&id);
            if let Some(id) = &draft.id {
                let place = self.end();
                self.chosen.entry(id.clone()).or_insert(place);
            }
            let entry = Entry { stamp, chosen: draft.id, event };
            self.bytes += entry.size();
            self.entries.push_back(entry);
            self.last = Some(stamp);
        }
        self.history = keep.history;
        while self.first < begin
            && (self.entries.len() > keep.history.max(LIVE) || self.bytes > keep.bytes)
        {
            self.drop_first();
        }
        self.id_behind(self.end())
    }

    fn drop_first(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        self.bytes -= entry.size();
        let id = self.id(entry.stamp, entry.chosen.as_deref());
        if let Some(id) = &entry.chosen
            && self.chosen.get(id) == Some(&self.first)
        {
            self.chosen.remove(id);
        }
        self.before = Some(id);
        self.first += 1;
    }

    /// The event at a place; `None` at the end.
    ///
    /// # Errors
    /// It is not there any more.
    pub(super) fn get(&self, place: u64) -> Result<Option<&Bytes>, Lagged> {
        let nth = place.checked_sub(self.first).ok_or(Lagged)?;
        let entry = usize::try_from(nth).ok().and_then(|nth| self.entries.get(nth));
        Ok(entry.map(|entry| &entry.event))
    }

    /// Where whoever asks so begins. An id that is not known, as one of another epoch or of what is long gone, gets all
    /// that there is: too much can be told apart, too little is lost.
    pub(super) fn start(&self, cursor: &Cursor) -> Start {
        let place = match cursor {
            Cursor::Now => self.end(),
            Cursor::Earliest => self.earliest(),
            Cursor::After(id) => self.after(id).unwrap_or_else(|| self.earliest()),
        };
        Start { place, behind: self.id_behind(place) }
    }

    /// Where the history begins.
    fn earliest(&self) -> u64 {
        let history = self.history.min(self.entries.len()) as u64;
        self.end() - history
    }

    fn after(&self, id: &str) -> Option<u64> {
        if self.before.as_deref() == Some(id) {
            return Some(self.first);
        }
        if let Some(place) = self.chosen.get(id) {
            return Some(place + 1);
        }
        let OwnId { epoch, stamp } = OwnId::parse(id)?;
        if epoch != self.epoch {
            return None;
        }
        let nth = self.entries.binary_search_by_key(&stamp, |entry| entry.stamp).ok()?;
        Some(self.first + nth as u64 + 1)
    }

    /// The id of the event in front of a place that is between the first and the end.
    pub(super) fn id_behind(&self, place: u64) -> Box<str> {
        let nth = place.saturating_sub(self.first) as usize;
        match nth.checked_sub(1).and_then(|nth| self.entries.get(nth)) {
            Some(entry) => self.id(entry.stamp, entry.chosen.as_deref()),
            None => self.before.clone().unwrap_or_else(|| EARLIEST.into()),
        }
    }

    fn id(&self, stamp: Stamp, chosen: Option<&str>) -> Box<str> {
        match chosen {
            Some(id) => id.into(),
            None => OwnId { epoch: self.epoch, stamp }.to_string().into(),
        }
    }
}

impl Entry {
    fn size(&self) -> usize {
        // A chosen id stands in the index too.
        self.event.len() + OVERHEAD + self.chosen.as_ref().map_or(0, |id| 2 * id.len() + 32)
    }
}

/// What was to come next is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lagged;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::draft::Fields;
    use proptest::prelude::*;

    const KEEP: Keep = Keep { history: 4, bytes: 1 << 20 };

    fn draft(id: Option<&str>, data: &str) -> Draft {
        Draft::new(Fields { id, data: Some(data), ..Fields::default() }).unwrap()
    }

    /// Events 1 to `count`, each published alone.
    fn ring(count: u64, keep: Keep) -> Ring {
        let mut ring = Ring::new(Epoch(7));
        for nth in 1..=count {
            ring.push([(Stamp::Count(nth), draft(None, &nth.to_string()))], keep);
        }
        ring
    }

    fn start(ring: &Ring, id: &str) -> (u64, String) {
        let cursor = match id {
            "earliest" => Cursor::Earliest,
            "" => Cursor::Now,
            id => Cursor::After(id.into()),
        };
        let Start { place, behind } = ring.start(&cursor);
        (place, behind.into())
    }

    fn own(nth: u64) -> String {
        format!("0000000000000007-{nth}")
    }

    #[test]
    fn the_answer_tells_which_event_is_in_front_of_the_first_one() {
        let empty = ring(0, KEEP);
        for id in ["", "earliest", "unknown", &own(1)] {
            assert_eq!(start(&empty, id), (0, "earliest".into()), "{id}");
        }
        let few = ring(3, KEEP);
        assert_eq!(start(&few, ""), (3, own(3)));
        assert_eq!(start(&few, "earliest"), (0, "earliest".into()));
        assert_eq!(start(&few, &own(2)), (2, own(2)));
        assert_eq!(start(&few, &own(3)), (3, own(3)));
    }

    #[test]
    fn an_id_that_is_not_known_gets_the_whole_history_and_the_answer_tells() {
        let few = ring(3, KEEP);
        for id in
            ["x", &own(0), &own(4), &own(u64::MAX), "0000000000000008-2", "-1", "00000000000000"]
        {
            assert_eq!(start(&few, id), (0, "earliest".into()), "{id}");
        }
        // Four of nine are history; the others are there for those who are behind.
        let more = ring(9, KEEP);
        assert_eq!(start(&more, "earliest"), (5, own(5)));
        assert_eq!(start(&more, "x"), (5, own(5)));
        assert_eq!(start(&more, &own(2)), (2, own(2)), "it is still there");
    }

    #[test]
    fn what_is_gone_is_told_and_the_event_just_in_front_is_no_gap() {
        let room = 3 * (draft(None, "1").encode(&own(1)).len() + OVERHEAD);
        let ring = ring(9, Keep { history: 9, bytes: room });
        assert_eq!((ring.len(), ring.bytes()), (3, room));
        assert_eq!(start(&ring, &own(6)), (6, own(6)), "nothing is missing behind it");
        assert_eq!(start(&ring, &own(5)), (6, own(6)), "6 is missing");
        assert_eq!(start(&ring, "earliest"), (6, own(6)));
        assert_eq!(ring.get(5), Err(Lagged));
        assert_eq!(ring.get(9), Ok(None));
        assert!(ring.get(8).unwrap().is_some_and(|event| event.ends_with(b"data: 9\n\n")));
    }

    #[test]
    fn without_history_there_are_only_events_to_come() {
        let ring = ring(9, Keep { history: 0, ..KEEP });
        assert_eq!(start(&ring, "earliest"), (9, own(9)));
        assert_eq!(start(&ring, "x"), (9, own(9)));
    }

    #[test]
    fn ids_that_publishers_choose_are_cursors_too() {
        let mut ring = ring(2, KEEP);
        let last = ring.push(
            [(Stamp::Count(3), draft(Some("a"), "")), (Stamp::Count(4), draft(Some("b"), ""))],
            KEEP,
        );
        assert_eq!(&*last, "b");
        assert_eq!(start(&ring, "a"), (3, "a".into()));
        assert_eq!(start(&ring, ""), (4, "b".into()));
        assert_eq!(start(&ring, &own(3)), (3, "a".into()), "its place is an id as well");
        // Where others publish the same id, nothing is lost by it.
        ring.push([(Stamp::Count(5), draft(Some("a"), "again"))], KEEP);
        assert_eq!(start(&ring, "a").0, 3);
        assert!(ring.has_chosen("a") && !ring.has_chosen(&own(1)));
    }

    #[test]
    fn a_chosen_id_is_forgotten_with_its_event_but_for_the_last_one_gone() {
        let mut ring = Ring::new(Epoch(7));
        let one = Keep { history: 1, bytes: 1 };
        for nth in 1..=3 {
            ring.push([(Stamp::Count(nth), draft(Some(&format!("x{nth}")), ""))], one);
        }
        assert_eq!(ring.len(), 1);
        assert!(!ring.has_chosen("x1") && !ring.has_chosen("x2") && ring.has_chosen("x3"));
        assert_eq!(start(&ring, "x2"), (2, "x2".into()), "no gap");
        assert_eq!(start(&ring, "x1"), (2, "x2".into()), "x2 is missing");
    }

    #[test]
    fn what_was_published_together_is_not_dropped_by_itself() {
        let mut ring = ring(3, KEEP);
        let events = (4..10).map(|nth| (Stamp::Count(nth), draft(None, "x")));
        ring.push(events, Keep { history: 2, bytes: 1 });
        assert_eq!((ring.len(), ring.get(3).is_ok()), (6, true));
    }

    #[test]
    fn a_name_that_begins_anew_swallows_nothing() {
        let mut ring = ring(3, KEEP);
        ring.restart(Epoch(8));
        assert_eq!(start(&ring, &own(2)), (3, "earliest".into()));
        ring.push([(Stamp::Count(1), draft(None, "new"))], KEEP);
        assert_eq!(start(&ring, &own(1)), (3, "earliest".into()));
        assert!(ring.get(3).unwrap().is_some(), "who was at the end goes on");
        assert_eq!(ring.get(2), Err(Lagged));
    }

    proptest! {
        /// A client that comes back whenever it likes, with the id that it saw last, sees each event once, in order,
        /// or is told of a gap.
        #[test]
        fn each_event_once_or_a_gap_is_told(
            steps in proptest::collection::vec((0..4u64, any::<bool>(), 0..6usize), 1..60),
            history in 0..6usize, room in 1..1500usize,
        ) {
            let keep = Keep { history, bytes: room };
            let (mut ring, mut count) = (Ring::new(Epoch(7)), 0);
            let (mut seen, mut last): (u64, Box<str>) = (0, "earliest".into());
            for (publish, choose, read) in steps {
                let events: Vec<_> = (0..publish).map(|_| {
                    count += 1;
                    let id = format!("x{count}");
                    (Stamp::Count(count), draft(choose.then_some(&id), &count.to_string()))
                }).collect();
                if !events.is_empty() {
                    ring.push(events, keep);
                }
                let cursor = match &*last { "earliest" => Cursor::Earliest, id => Cursor::After(id.into()) };
                let Start { mut place, behind } = ring.start(&cursor);
                if behind == last {
                    // Places here are counts less one.
                    prop_assert_eq!(place, seen);
                } else {
                    prop_assert!(place > seen, "nothing comes twice where ids are known");
                }
                for _ in 0..read {
                    let Ok(Some(event)) = ring.get(place) else { break };
                    let end = format!("data: {}\n\n", place + 1);
                    prop_assert!(event.ends_with(end.as_bytes()));
                    place += 1;
                }
                seen = place;
                last = ring.id_behind(place);
            }
            prop_assert_eq!(ring.end(), count);
        }
    }
}
