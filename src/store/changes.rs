//! What is to be written, decided by what was: pure, and told the time.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::cells::{Balance, Cells};
use super::database::{Batch, Loaded};
use super::journal::Entry;
use super::source::{Kept, Source};

const DAY_MS: u64 = 86_400_000;
/// The process's clock and the calendar's differ by less than this from one reading to the next: that is no change.
const JITTER_MS: u64 = 5;

/// As it was written last.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By client and model, since the process began.
    usage: HashMap<String, HashMap<String, Cells>>,
    budgets: HashMap<String, Balance>,
    buckets: HashMap<String, u64>,
}

/// What is new since then.
#[derive(Debug, Default)]
pub(super) struct Changes {
    at: u64,
    usage: Vec<Used>,
    budgets: Vec<Budget>,
    buckets: Vec<Bucket>,
}

#[derive(Debug)]
struct Used {
    client: String,
    model: String,
    now: Cells,
    more: Cells,
}

#[derive(Debug)]
struct Budget {
    key: String,
    now: Balance,
    more: Balance,
}

#[derive(Debug)]
struct Bucket {
    key: String,
    full_at: u64,
    more: u64,
}

/// The day of a Unix time in milliseconds.
pub(super) fn day(unix_ms: u64) -> u32 {
    u32::try_from(unix_ms / DAY_MS).unwrap_or(u32::MAX)
}

impl Seen {
    /// As a database holds it.
    pub(super) fn of(loaded: &Loaded) -> Self {
        let (budgets, buckets) = (loaded.budgets.clone(), loaded.buckets.clone());
        Self { usage: HashMap::new(), budgets, buckets }
    }

    /// What is kept, as of now. `written`: when. A clock that was set back since then takes nothing out of a bucket.
    pub(super) fn kept(&self, written: u64, unix_ms: u64) -> Kept {
        let now = unix_ms.max(written);
        let budgets = self.budgets.iter().map(|(key, balance)| (key.clone(), *balance)).collect();
        let empty = self.buckets.iter().filter(|(_, full_at)| **full_at > now);
        let buckets = empty
            .map(|(key, full_at)| (key.clone(), Duration::from_millis(full_at - now)))
            .collect();
        Kept { budgets, buckets }
    }

    /// What changed. A budget that stands lower than it was written is one that a reload took away and brought back:
    /// it gets what it had. `elsewhere`: what other processes spent, which the source was told already.
    pub(super) fn changes(
        &self,
        source: &dyn Source,
        elsewhere: &HashMap<String, Balance>,
        unix_ms: u64,
    ) -> Changes {
        let mut changes = Changes { at: unix_ms, usage: self.used(source), ..Changes::default() };
        let mut now = budgets(source, unix_ms);
        let fell = |(key, now): &(&String, &Balance)| {
            let before = self.budgets.get(*key)?;
            (before.period == now.period && before.spent > now.spent)
                .then(|| ((*key).clone(), *before))
        };
        let fallen: Vec<_> = now.iter().filter_map(|one| fell(&one)).collect();
        if !fallen.is_empty() {
            source.add(&Kept { budgets: fallen, buckets: Vec::new() }, unix_ms / 1_000);
            now = budgets(source, unix_ms);
        }
        for (key, more) in elsewhere {
            // What is of no limit that there is now may be of one again.
            if !now.contains_key(key) {
                let all = self.budgets.get(key).map_or(*more, |before| before.with(*more));
                changes.budgets.push(Budget { key: key.clone(), now: all, more: *more });
            }
        }
        for (key, now) in now {
            if let Some(more) =
                now.since(self.budgets.get(&key).copied()).filter(|more| more.spent > 0)
            {
                changes.budgets.push(Budget { key, now, more });
            }
        }
        source.buckets(&mut |key, full_in| {
            changes.buckets.extend(self.bucket(key, full_in, unix_ms));
        });
        changes
    }

    fn used(&self, source: &dyn Source) -> Vec<Used> {
        let mut all = Vec::new();
        source.usage(&mut |client, model, now| {
            let before = self.usage.get(client).and_then(|models| models.get(model));
            let more = now.since(before.copied().unwrap_or_default());
            if more != Cells::default() {
                all.push(Used { client: client.to_owned(), model: model.to_owned(), now, more });
            }
        });
        all
    }

    fn bucket(&self, key: &str, full_in: Duration, unix_ms: u64) -> Option<Bucket> {
        let full_in = u64::try_from(full_in.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
        let full_at = unix_ms.saturating_add(full_in);
        let before = self.buckets.get(key).copied().unwrap_or_default().max(unix_ms);
        let more = full_at.saturating_sub(before);
        (full_at.abs_diff(before) > JITTER_MS).then(|| Bucket {
            key: key.to_owned(),
            full_at,
            more,
        })
    }

    /// They were written.
    pub(super) fn accept(&mut self, changes: Changes) {
        for Used { client, model, now, more: _ } in changes.usage {
            self.usage.entry(client).or_default().insert(model, now);
        }
        self.budgets.extend(changes.budgets.into_iter().map(|one| (one.key, one.now)));
        self.buckets.extend(changes.buckets.into_iter().map(|one| (one.key, one.full_at)));
    }

    /// What other processes charged before this one began, as it is to be written.
    pub(super) fn take_in(&mut self, kept: &Kept, unix_ms: u64) {
        for (key, more) in &kept.budgets {
            let all = self.budgets.get(key).map_or(*more, |before| before.with(*more));
            self.budgets.insert(key.clone(), all);
        }
        for (key, more) in &kept.buckets {
            let full_at = self.buckets.entry(key.clone()).or_default();
            *full_at =
                (*full_at).max(unix_ms) + u64::try_from(more.as_millis()).unwrap_or_default();
        }
    }

    /// All limits as they stand.
    pub(super) fn limits(&self) -> Batch {
        Batch {
            budgets: self.budgets.iter().map(|(key, balance)| (key.clone(), *balance)).collect(),
            buckets: self.buckets.iter().map(|(key, full_at)| (key.clone(), *full_at)).collect(),
            ..Batch::default()
        }
    }

    /// What others charged who had the database since this was written: `now` is all that is kept, and `buckets` are those
    /// of the database. What lies in a journal says of a bucket no time, and some of it is this process's own.
    pub(super) fn others(&self, now: &Self, buckets: &HashMap<String, u64>, unix_ms: u64) -> Kept {
        let budgets = now.budgets.iter().filter_map(|(key, balance)| {
            let more = balance.since(self.budgets.get(key).copied())?;
            (more.spent > 0).then(|| (key.clone(), more))
        });
        let buckets = buckets.iter().filter_map(|(key, full_at)| {
            let own = self.buckets.get(key).copied().unwrap_or_default().max(unix_ms);
            let more = full_at.checked_sub(own).filter(|more| *more > JITTER_MS)?;
            Some((key.clone(), Duration::from_millis(more)))
        });
        Kept { budgets: budgets.collect(), buckets: buckets.collect() }
    }

    /// Budgets and buckets were written by others since: all of them are to be written again.
    pub(super) fn forget_limits(&mut self) {
        self.budgets.clear();
        self.buckets.clear();
    }
}

impl Changes {
    /// For the database: usage to be added, the rest as it stands.
    pub(super) fn batch(&self) -> Batch {
        let day = day(self.at);
        let usage = self.usage.iter();
        Batch {
            at: self.at,
            usage: usage
                .map(|one| (day, one.client.clone(), one.model.clone(), one.more))
                .collect(),
            budgets: self.budgets.iter().map(|one| (one.key.clone(), one.now)).collect(),
            buckets: self.buckets.iter().map(|one| (one.key.clone(), one.full_at)).collect(),
            ..Batch::default()
        }
    }

    /// For a journal: differences.
    pub(super) fn entry(&self) -> Entry {
        let usage = self.usage.iter();
        let buckets = self.buckets.iter().filter(|one| one.more > 0);
        Entry {
            day: day(self.at),
            usage: usage.map(|one| (one.client.clone(), one.model.clone(), one.more)).collect(),
            budgets: self.budgets.iter().map(|one| (one.key.clone(), one.more)).collect(),
            buckets: buckets.map(|one| (one.key.clone(), one.more)).collect(),
        }
    }
}

fn budgets(source: &dyn Source, unix_ms: u64) -> HashMap<String, Balance> {
    let mut all = HashMap::new();
    source.budgets(unix_ms / 1_000, &mut |key, balance| {
        all.insert(key.to_owned(), balance);
    });
    all
}

/// What other processes charged, until it is written.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    pub(super) usage: Vec<(u32, String, String, Cells)>,
    pub(super) budgets: HashMap<String, Balance>,
    /// How much of each journal that is.
    pub(super) journals: HashMap<String, u64>,
    pub(super) finished: HashSet<String>,
}

impl Elsewhere {
    /// Takes an entry; what of it is to be added to limits.
    pub(super) fn take(&mut self, entry: Entry) -> Kept {
        let Entry { day, usage, budgets, buckets } = entry;
        self.usage
            .extend(usage.into_iter().map(|(client, model, more)| (day, client, model, more)));
        for (key, more) in &budgets {
            let all = self.budgets.get(key).map_or(*more, |before| before.with(*more));
            self.budgets.insert(key.clone(), all);
        }
        let buckets = buckets.into_iter();
        Kept {
            budgets,
            buckets: buckets.map(|(key, more)| (key, Duration::from_millis(more))).collect(),
        }
    }

    /// Together with what changed here.
    pub(super) fn join(&self, batch: &mut Batch) {
        batch.usage.extend(self.usage.iter().cloned());
        // Of those that are finished too: a kill before their files are removed must not have them read again. Whoever
        // opens the directory next forgets what has no file.
        batch.journals.extend(self.journals.iter().map(|(name, offset)| (name.clone(), *offset)));
    }
}
