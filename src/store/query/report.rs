//! The answer: rows added up.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use super::{By, Query};
use crate::algo::calendar::Date;
use crate::store::cells::Cells;
use crate::store::changes::Elsewhere;
use crate::store::database::{Reading, Trouble};
use crate::store::error::StoreError;
use crate::store::folder;
use crate::store::opening::{explained, journals, news, patiently, unix_ms};

/// Rows of an answer. It is made in memory, by a proxy that has other things to do.
const MOST: usize = 100_000;
/// For a process that holds it for a moment only.
const PATIENCE: Duration = Duration::from_millis(200);

/// The answer has more rows than 100,000.
#[derive(Debug)]
pub struct TooMany;

impl std::fmt::Display for TooMany {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "more than {MOST} rows; ask for fewer days, or leave out one of client, model, day"
        )
    }
}

impl std::error::Error for TooMany {}

/// What was used, by the question's columns.
#[derive(Debug)]
pub struct Report {
    pub(super) query: Query,
    pub(super) rows: BTreeMap<Vec<String>, Cells>,
    pub(super) total: Cells,
}

impl Report {
    /// Adds up what a reading of a store has.
    ///
    /// # Errors
    /// The store cannot be read, or [`TooMany`].
    pub fn new(query: Query, reading: &Reading) -> Result<Result<Self, TooMany>, StoreError> {
        let mut report = Self { query, rows: BTreeMap::new(), total: Cells::default() };
        let days = report.query.days();
        let mut fits = true;
        let read = reading.usage(days, |day, client, model, cells| {
            fits = report.add(day, client, model, cells);
            fits
        });
        let folder = Path::new("");
        read.map_err(|trouble: Trouble| explained(folder, trouble))?;
        Ok(if fits { Ok(report) } else { Err(TooMany) })
    }

    fn add(&mut self, day: u32, client: &str, model: &str, cells: Cells) -> bool {
        let column = |by: &By| match by {
            By::Client => client.to_owned(),
            By::Model => model.to_owned(),
            By::Day => Date::of(u64::from(day)).to_string(),
        };
        self.rows.entry(self.query.by.iter().map(column).collect()).or_default().add(cells);
        self.total.add(cells);
        self.rows.len() <= MOST
    }
}

/// Reads a store that no process has, with what lies in journals, and takes nothing out of it.
///
/// # Errors
/// See [`StoreError`]; [`StoreError::InUse`] where a process has it: that one can be asked.
pub fn offline(folder: &Path, query: Query) -> Result<Result<Report, TooMany>, StoreError> {
    let file = folder::database(folder);
    if !file.is_file() {
        let aside = folder::aside(folder).ok().flatten();
        return Err(match aside {
            Some(aside) => StoreError::SetAside { file, aside },
            None => StoreError::Missing(folder.to_owned()),
        });
    }
    let failed = |trouble| explained(folder, trouble);
    let database = patiently(&file, PATIENCE).map_err(failed)?;
    let known: HashMap<_, _> = database.load().map_err(failed)?.journals;
    let reading = database.read().map_err(failed)?;
    let report = Report::new(query, &reading)?;
    let Ok(mut report) = report else { return Ok(Err(TooMany)) };
    let mut journals = journals(folder, |name| known.get(name).copied())?;
    let mut elsewhere = Elsewhere::default();
    let _limits = news(&mut journals, &mut elsewhere, unix_ms());
    let (first, last) = report.query.days();
    for (day, client, model, more) in elsewhere.usage {
        if (first..=last).contains(&day) && !report.add(day, &client, &model, more) {
            return Ok(Err(TooMany));
        }
    }
    drop(reading);
    database.close();
    Ok(Ok(report))
}
