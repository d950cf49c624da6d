//! Names that this process reads, and how far.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use redis::Cmd;

use crate::config::Events;
use crate::events::{Draft, Epoch, Keep, Key, Stamp, Topic};
use crate::fanout::wire::{Entry, EntryId, Keys};

/// By the keys of their events.
#[derive(Default)]
pub(in crate::fanout) struct Names(HashMap<String, Followed>);

/// A name that this process reads.
struct Followed {
    key: Key,
    topic: Weak<Topic>,
    keep: Keep,
    expire: Duration,
    /// The last event that was read.
    cursor: EntryId,
    /// The bytes before the entry that comes next, by which a gap is seen.
    next: Option<u64>,
    touched: Instant,
}

impl Followed {
    /// Gives the topic what is new of these.
    fn take(&mut self, entries: Vec<Entry>, now: Instant) {
        let Some(topic) = self.topic.upgrade() else { return };
        let (mut epoch, mut batch) = (topic.epoch(), Vec::with_capacity(entries.len()));
        for entry in entries {
            // Two connections read the same name, so that what one has the other may bring again.
            if entry.id <= self.cursor {
                continue;
            }
            self.cursor = entry.id;
            let Some((its, bytes, draft)) = event(&entry) else { continue };
            let is_gap = its == epoch && self.next.is_some_and(|next| next != bytes);
            self.next = Some(bytes + size(&draft));
            if is_gap {
                topic.mirror(std::mem::take(&mut batch), self.keep, now);
                topic.skip();
            }
            if its != epoch {
                topic.mirror(std::mem::take(&mut batch), self.keep, now);
                topic.restart(its);
                epoch = its;
            }
            batch.push((Stamp::Redis(entry.id.0, entry.id.1), draft));
        }
        topic.mirror(batch, self.keep, now);
    }
}

impl Names {
    /// The last event that was read of a topic; from the beginning where it is not followed.
    pub(in crate::fanout) fn cursor(&self, key: &str, topic: &Arc<Topic>) -> EntryId {
        let known = self.0.get(key).filter(|known| known.is(topic));
        known.map_or((0, 0), |known| known.cursor)
    }

    /// Follows a topic from now on. True where it was not followed.
    pub(in crate::fanout) fn follow(
        &mut self,
        (name, key): (String, Key),
        topic: &Arc<Topic>,
        bounds: &Events,
        entries: Vec<Entry>,
    ) -> bool {
        let now = Instant::now();
        let keep = Keep { history: bounds.history, bytes: bounds.bytes };
        let is_new = !self.0.get(&name).is_some_and(|known| known.is(topic));
        if is_new {
            let topic = Arc::downgrade(topic);
            let expire = bounds.expire;
            let followed =
                Followed { key, topic, keep, expire, cursor: (0, 0), next: None, touched: now };
            self.0.insert(name.clone(), followed);
        }
        if let Some(followed) = self.0.get_mut(&name) {
            (followed.keep, followed.expire) = (keep, bounds.expire);
            followed.take(entries, now);
        }
        is_new
    }

    /// What came of a name.
    pub(in crate::fanout) fn take(&mut self, name: &str, entries: Vec<Entry>) {
        if let Some(followed) = self.0.get_mut(name) {
            followed.take(entries, Instant::now());
        }
    }

    /// Those that somebody here has, with the last event that was read of each; others are let go.
    pub(in crate::fanout) fn cursors(&mut self) -> Vec<(String, EntryId)> {
        self.0.retain(|_, followed| followed.topic.strong_count() > 0);
        self.0.iter().map(|(name, followed)| (name.clone(), followed.cursor)).collect()
    }

    pub(in crate::fanout) fn len(&self) -> usize {
        self.0.len()
    }

    /// What keeps names from expiring that have subscribers here.
    pub(in crate::fanout) fn touches(
        &mut self,
        keys: &Keys,
        now: Instant,
        unix_ms: u64,
    ) -> Vec<Cmd> {
        let mut commands = Vec::new();
        for followed in self.0.values_mut() {
            let is_read = followed.topic.upgrade().is_some_and(|topic| topic.subscribers() > 0);
            if !is_read || now.duration_since(followed.touched) < followed.expire / 3 {
                continue;
            }
            followed.touched = now;
            let [events, name, chosen, names] = keys.of_name(&followed.key);
            let expire = followed.expire.as_millis() as u64;
            for key in [events, name, chosen, names.clone()] {
                let mut command = redis::cmd("PEXPIRE");
                command.arg(key).arg(expire);
                commands.push(command);
            }
            let mut command = redis::cmd("ZADD");
            command.arg(names).arg("XX").arg(unix_ms + expire).arg(followed.key.name.as_str());
            commands.push(command);
        }
        commands
    }

    /// After a connection was made: names that began anew meanwhile are read from their beginning, all others on from
    /// where they were.
    pub(in crate::fanout) fn again(&mut self, lives: &[(String, Option<Epoch>)]) {
        for (name, epoch) in lives {
            let Some(followed) = self.0.get_mut(name) else { continue };
            let known = followed.topic.upgrade().map(|topic| topic.epoch());
            if *epoch != known {
                (followed.cursor, followed.next) = ((0, 0), None);
            }
        }
    }

    /// All that are followed.
    pub(in crate::fanout) fn all(&self) -> Vec<(String, Key)> {
        self.0.iter().map(|(name, followed)| (name.clone(), followed.key.clone())).collect()
    }
}

impl Followed {
    fn is(&self, topic: &Arc<Topic>) -> bool {
        std::ptr::eq(self.topic.as_ptr(), Arc::as_ptr(topic))
    }
}

/// An entry's epoch, the bytes before it, and what was published.
fn event(entry: &Entry) -> Option<(Epoch, u64, Draft)> {
    let lines = entry.get("d")?.to_vec().into();
    let draft = Draft { id: entry.text("i").map(Into::into), lines };
    Some((epoch(entry.text("p")?)?, entry.text("n")?.parse().ok()?, draft))
}

/// As `publish.lua` counts it.
fn size(draft: &Draft) -> u64 {
    (draft.lines.len() + draft.id.as_ref().map_or(0, |id| id.len()) + 128) as u64
}

/// Of its 16 hex digits.
pub(in crate::fanout) fn epoch(text: &str) -> Option<Epoch> {
    u64::from_str_radix(text, 16).ok().map(Epoch)
}
