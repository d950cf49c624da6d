//! A store with counters that the test turns, and days that it passes.

mod damage;
mod handing;
mod keeping;
mod printing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::changes::Seen;
use super::opening::Store;
use super::query::report::offline;
use super::*;
use crate::algo::calendar::Date;

/// A folder of the test's own.
fn scratch() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nth = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("firstbyte-store-{}-{nth}", std::process::id()));
    let _fresh = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).unwrap();
    folder.join("store")
}

/// Unix milliseconds of a time of a day.
fn at(day: &str, hour: u64, minute: u64, second: u64) -> u64 {
    let days = Date::parse(day).unwrap().days();
    (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000
}

/// One request's worth of each.
fn one() -> Cells {
    Cells { requests: 1, input: 100, cached: 10, output: 20, cost: 1_500_000_001, estimated: 1 }
}

fn times(cells: Cells, many: u64) -> Cells {
    let mut all = Cells::default();
    (0..many).for_each(|_| all.add(cells));
    all
}

#[derive(Default)]
struct Counters {
    usage: BTreeMap<(String, String), Cells>,
    budgets: BTreeMap<String, Balance>,
    buckets: BTreeMap<String, Duration>,
}

/// What a process counts.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<Counters>>);

impl Counting {
    /// A request of a client ends: of this model, in this period of its budget.
    fn charge(&self, client: &str, model: &str, period: u64) {
        let mut all = self.0.lock().unwrap();
        all.usage.entry((client.into(), model.into())).or_default().add(one());
        let budget = all.budgets.entry(budget(client)).or_insert(Balance { period, spent: 0 });
        if budget.period < period {
            *budget = Balance { period, spent: 0 };
        }
        budget.spent += 120;
    }

    fn has_budget(&self, client: &str, period: u64) {
        self.0.lock().unwrap().budgets.insert(budget(client), Balance { period, spent: 0 });
    }

    fn has_bucket(&self, client: &str, full_in: Duration) {
        self.0.lock().unwrap().buckets.insert(bucket(client), full_in);
    }

    fn spent(&self, client: &str) -> Balance {
        self.0.lock().unwrap().budgets[&budget(client)]
    }

    fn full_in(&self, client: &str) -> Duration {
        self.0.lock().unwrap().buckets[&bucket(client)]
    }
}

fn budget(client: &str) -> String {
    format!("client {client}/budget_tokens/day")
}

fn bucket(client: &str) -> String {
    format!("client {client}/rpm")
}

impl Source for Counting {
    fn usage(&self, each: &mut dyn FnMut(&str, &str, Cells)) {
        for ((client, model), cells) in &self.0.lock().unwrap().usage {
            each(client, model, *cells);
        }
    }

    fn budgets(&self, _: u64, each: &mut dyn FnMut(&str, Balance)) {
        self.0.lock().unwrap().budgets.iter().for_each(|(key, balance)| each(key, *balance));
    }

    fn buckets(&self, each: &mut dyn FnMut(&str, Duration)) {
        self.0.lock().unwrap().buckets.iter().for_each(|(key, full_in)| each(key, *full_in));
    }

    fn add(&self, kept: &Kept, _: u64) {
        let mut all = self.0.lock().unwrap();
        for (key, more) in &kept.budgets {
            if let Some(budget) = all.budgets.get_mut(key).filter(|one| one.period == more.period) {
                budget.spent += more.spent;
            }
        }
        for (key, more) in &kept.buckets {
            if let Some(full_in) = all.buckets.get_mut(key) {
                *full_in += *more;
            }
        }
    }
}

/// Writes what changed, as of a time.
fn write(store: &mut Store, source: &Counting, unix_ms: u64) {
    let changes = store.seen.changes(source, &std::collections::HashMap::new(), unix_ms);
    store.database.write(&changes.batch()).unwrap();
    store.seen.accept(changes);
}

/// Where a process begins: its store, and counters that know what was kept.
fn begin(folder: &Path, source: &Counting, unix_ms: u64) -> Store {
    let (store, kept) = Store::open_at(folder, unix_ms).unwrap();
    source.add(&kept, unix_ms / 1_000);
    store
}

fn query(since: &str, until: &str, by: &str, format: Format) -> Query {
    let day = |text| Some(Date::parse(text).unwrap());
    let by = Some(By::parse(by).unwrap());
    Query::new(day(since), day(until), by, Some(format), SystemTime::now()).unwrap()
}

/// What a store that nobody has open says, as CSV without its header.
fn lines(folder: &Path, since: &str, until: &str, by: &str) -> Vec<String> {
    let report = offline(folder, query(since, until, by, Format::Csv)).unwrap().unwrap();
    report.text().lines().skip(1).map(str::to_owned).collect()
}
