//! The database's tables, and the only file that knows the crate behind them.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Builder, ReadableTable, TableDefinition};

use super::cells::{Balance, Cells};

/// What the tables mean; another meaning has another number.
const FORMAT: u64 = 1;
/// Bytes of memory for its pages: more than one write touches with 10,000 clients.
const CACHE: usize = 16 << 20;

type Counts = (u64, u64, u64, u64, u64, u64);

/// By day since 1970, client and model's label. The day comes first: what is written together lies together.
const USAGE: TableDefinition<'_, (u32, &str, &str), Counts> = TableDefinition::new("usage");
/// By a limit's key: period and what was spent in it.
const BUDGETS: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("budgets");
/// By a limit's key: when the bucket is full, in Unix milliseconds.
const BUCKETS: TableDefinition<'_, &str, u64> = TableDefinition::new("buckets");
/// By a journal's name: how many of its bytes are in here.
const JOURNALS: TableDefinition<'_, &str, u64> = TableDefinition::new("journals");
/// The format, and when it was written last, in Unix milliseconds.
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");

/// An open database: no other process has it.
pub(super) struct Database(redb::Database);

/// What it holds beside usage.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) budgets: HashMap<String, Balance>,
    /// Unix milliseconds.
    pub(super) buckets: HashMap<String, u64>,
    pub(super) journals: HashMap<String, u64>,
    /// Unix milliseconds.
    pub(super) written: u64,
}

/// What is written at once, or not at all.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Unix milliseconds.
    pub(super) at: u64,
    /// To be added.
    pub(super) usage: Vec<(u32, String, String, Cells)>,
    pub(super) budgets: Vec<(String, Balance)>,
    pub(super) buckets: Vec<(String, u64)>,
    /// How many bytes of them are in here with this batch.
    pub(super) journals: Vec<(String, u64)>,
    /// All of these is in here.
    pub(super) finished: Vec<String>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        let Self { at: _, usage, budgets, buckets, journals, finished } = self;
        usage.is_empty()
            && budgets.is_empty()
            && buckets.is_empty()
            && journals.is_empty()
            && finished.is_empty()
    }
}

/// Its content at one moment, whatever is written meanwhile.
pub struct Reading(redb::ReadTransaction);

/// Why it cannot be used.
#[derive(Debug)]
pub(super) enum Trouble {
    InUse,
    Version(u64),
    Damaged(String),
    Io(io::Error),
}

impl Database {
    /// Makes an empty one, whole from the moment that it has its name. Where another process was first, its is left.
    pub(super) fn create(file: &Path) -> Result<(), Trouble> {
        let unfinished = file.with_extension(format!("new-{}", std::process::id()));
        let made = guarded(|| {
            let mut builder = Builder::new();
            let _v3 = builder.create_with_file_format_v3(true);
            let made = builder.create(&unfinished)?;
            let transaction = made.begin_write()?;
            transaction.open_table(ABOUT)?.insert("format", FORMAT)?;
            transaction.open_table(USAGE)?;
            transaction.open_table(BUDGETS)?;
            transaction.open_table(BUCKETS)?;
            transaction.open_table(JOURNALS)?;
            transaction.commit()?;
            Ok(())
        });
        let linked = made.and_then(|()| match fs::hard_link(&unfinished, file) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(Trouble::Io(error)),
            _ => Ok(()),
        });
        // It was not made, or has its other name.
        let _removed = fs::remove_file(&unfinished);
        linked
    }

    /// Opens one that is there. After a process that was killed, its last whole write is what it holds.
    pub(super) fn open(file: &Path) -> Result<Self, Trouble> {
        guarded(|| Ok(Self(Builder::new().set_cache_size(CACHE).open(file)?)))
    }

    /// Compares every page with its checksum. `false`: the last write was not whole, and is left out.
    pub(super) fn check(&mut self) -> Result<bool, Trouble> {
        guarded(|| Ok(self.0.check_integrity()?))
    }

    /// All but usage.
    pub(super) fn load(&self) -> Result<Loaded, Trouble> {
        let (format, loaded) = guarded(|| {
            let transaction = self.0.begin_read()?;
            let about = transaction.open_table(ABOUT)?;
            let number = |name| about.get(name).map(|value| value.map(|value| value.value()));
            let format = number("format")?.unwrap_or_default();
            let mut loaded =
                Loaded { written: number("written")?.unwrap_or_default(), ..Loaded::default() };
            if format != FORMAT {
                return Ok((format, loaded));
            }
            for row in transaction.open_table(BUDGETS)?.iter()? {
                let (key, value) = row?;
                let (period, spent) = value.value();
                loaded.budgets.insert(key.value().to_owned(), Balance { period, spent });
            }
            for (table, into) in [(BUCKETS, &mut loaded.buckets), (JOURNALS, &mut loaded.journals)]
            {
                for row in transaction.open_table(table)?.iter()? {
                    let (key, value) = row?;
                    into.insert(key.value().to_owned(), value.value());
                }
            }
            Ok((format, loaded))
        })?;
        if format == FORMAT { Ok(loaded) } else { Err(Trouble::Version(format)) }
    }

    /// Writes all of it to the disk, or nothing.
    pub(super) fn write(&self, batch: &Batch) -> Result<(), Trouble> {
        guarded(|| {
            let transaction = self.0.begin_write()?;
            {
                let mut usage = transaction.open_table(USAGE)?;
                for (day, client, model, more) in &batch.usage {
                    let key = (*day, client.as_str(), model.as_str());
                    let before = usage.get(key)?.map(|value| cells(value.value()));
                    let mut all = before.unwrap_or_default();
                    all.add(*more);
                    usage.insert(key, counts(all))?;
                }
                let mut budgets = transaction.open_table(BUDGETS)?;
                for (key, Balance { period, spent }) in &batch.budgets {
                    budgets.insert(key.as_str(), (*period, *spent))?;
                }
                let mut buckets = transaction.open_table(BUCKETS)?;
                for (key, full_at) in &batch.buckets {
                    buckets.insert(key.as_str(), *full_at)?;
                }
                let mut journals = transaction.open_table(JOURNALS)?;
                for (name, bytes) in &batch.journals {
                    journals.insert(name.as_str(), *bytes)?;
                }
                for name in &batch.finished {
                    journals.remove(name.as_str())?;
                }
                transaction.open_table(ABOUT)?.insert("written", batch.at)?;
            }
            transaction.commit()?;
            Ok(())
        })
    }

    pub(super) fn read(&self) -> Result<Reading, Trouble> {
        guarded(|| Ok(Reading(self.0.begin_read()?)))
    }

    /// Lets go of it. What it does at its end cannot take the caller along.
    pub(super) fn close(self) {
        let _panicked = catch_unwind(AssertUnwindSafe(|| drop(self)));
    }
}

impl Reading {
    /// Usage of these days, the first and the last among them, until `each` has enough.
    pub(super) fn usage(
        &self,
        days: (u32, u32),
        mut each: impl FnMut(u32, &str, &str, Cells) -> bool,
    ) -> Result<(), Trouble> {
        guarded(|| {
            let table = self.0.open_table(USAGE)?;
            let (first, last) = days;
            for row in table.range((first, "", "")..(last.saturating_add(1), "", ""))? {
                let (key, value) = row?;
                let (day, client, model) = key.value();
                if !each(day, client, model, cells(value.value())) {
                    break;
                }
            }
            Ok(())
        })
    }
}

fn counts(cells: Cells) -> Counts {
    let [requests, input, cached, output, cost, estimated] = cells.fields();
    (requests, input, cached, output, cost, estimated)
}

fn cells((requests, input, cached, output, cost, estimated): Counts) -> Cells {
    Cells::of([requests, input, cached, output, cost, estimated])
}

/// The crate's error, which is large.
struct Failed(Box<redb::Error>);

impl<E: Into<redb::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

/// The crate asserts what a damaged file may not hold.
fn guarded<T>(work: impl FnOnce() -> Result<T, Failed>) -> Result<T, Trouble> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(Failed(error))) => Err(trouble(*error)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(Trouble::Damaged(text.unwrap_or("it makes no sense").to_owned()))
        }
    }
}

fn trouble(error: redb::Error) -> Trouble {
    match error {
        redb::Error::DatabaseAlreadyOpen => Trouble::InUse,
        redb::Error::UpgradeRequired(version) => Trouble::Version(u64::from(version)),
        // What it says of a file that is none of its own, and of one that ends too early.
        redb::Error::Io(error)
            if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
        {
            Trouble::Damaged(error.to_string())
        }
        redb::Error::Io(error) => Trouble::Io(error),
        redb::Error::PreviousIo => Trouble::Io(io::Error::other("an earlier write failed")),
        other => Trouble::Damaged(other.to_string()),
    }
}
