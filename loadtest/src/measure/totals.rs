//! Where all workers' notes come together, off the data path.

use super::generator_load::GeneratorLoad;
use super::goal::Goals;
use super::host::ThreadTime;
use super::recorder::Interval;
use super::samples::Samples;
use super::series::Series;
use super::tally::Tally;

/// One target's pages.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its sums.
    pub tally: Tally,
    /// Its run over time.
    pub series: Series,
    /// Its slices, kept apart for a comparison.
    pub samples: Samples,
    /// Requests started, warm-up included.
    pub started: u64,
    /// Events received, warm-up included.
    pub events: u64,
    /// What its process used, where that was watched.
    pub process: ThreadTime,
}

/// All targets' accounts.
#[derive(Debug)]
pub struct Totals {
    /// By target.
    pub accounts: Vec<Account>,
    /// The workers' own time.
    pub load: GeneratorLoad,
    goals: Goals,
}

impl Totals {
    /// Accounts for so many targets, each with a copy of the empty `series`.
    pub fn new(targets: usize, goals: Goals, series: &Series) -> Self {
        let account = Account {
            tally: Tally::default(),
            series: series.clone(),
            samples: Samples::default(),
            started: 0,
            events: 0,
            process: ThreadTime::default(),
        };
        Self { accounts: vec![account; targets], load: GeneratorLoad::default(), goals }
    }

    /// Enters what a worker noted.
    pub fn add(&mut self, interval: &Interval) {
        self.load.add(interval);
        let Some(account) = self.accounts.get_mut(interval.target) else { return };
        account.tally.add(interval, &self.goals);
        account.series.add(interval);
        account.samples.add(interval);
        account.started += interval.started;
        account.events += interval.events;
        account.process = account.process.plus(interval.process);
    }
}
