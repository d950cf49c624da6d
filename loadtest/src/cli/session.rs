//! From arguments to a run, and from a run to its report and exit code: the part that `run` and
//! `compare` share.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::client::{FailureKind, Mono};
use crate::compare::Comparison;
use crate::format;
use crate::load::worker::{Pass, Program, TargetPlan, Workers};
use crate::measure::series::{Axis, Series};
use crate::measure::{Measure, Totals, host, request_histogram};
use crate::report::output::{self, Journal};
use crate::report::{About, Definition, FORMAT, Report, target_report, text};
use crate::verdict::{Condition, Generator, Verdict};

use super::Exit;
use super::command_line::command_line;
use super::live::Live;
use super::target_plan::{Common, Named};
use super::trouble::Trouble;

/// A run ready to go.
pub(super) struct Session<'a> {
    pub(super) common: Common<'a>,
    pub(super) targets: Vec<Named>,
    pub(super) passes: Vec<Pass>,
    pub(super) open_loop: bool,
    pub(super) asked_rate: Option<f64>,
    /// How long it should take, where that is known.
    pub(super) expected: Option<Duration>,
    pub(super) settings: BTreeMap<String, String>,
}

impl Session<'_> {
    /// Does the run, shows and writes the report, and says how it went. `compare` turns the totals
    /// into a comparison, where the run is one.
    pub(super) fn execute(
        self,
        compare: impl FnOnce(&Totals) -> Option<Comparison>,
    ) -> Result<Exit, Trouble> {
        let target_plans: Result<Vec<TargetPlan>, Trouble> = self
            .targets
            .iter()
            .map(|named| self.common.target_plan(named, self.open_loop))
            .collect();
        let (taken_at, command) = (SystemTime::now(), command_line(std::env::args()));
        let names = self.targets.iter().map(|named| named.name.clone()).collect();
        let mut journal = Journal::open(&self.common.show.files, names, &command)
            .map_err(|error| Trouble::broken(&error))?;
        let program = Program {
            target_plans: target_plans?,
            passes: self.passes.clone(),
            threads: usize::from(self.common.load.threads),
            interval: self.common.show.interval,
        };
        let totals = self.drive(program, &mut journal)?;
        journal.close().map_err(|error| Trouble::broken(&error))?;
        let comparison = compare(&totals);
        let report = self.report(&totals, comparison, taken_at, command);
        output::write(&self.common.show.files, &report, &totals.accounts)
            .map_err(|error| Trouble::broken(&error))?;
        if !self.common.show.quiet {
            print!("{}", text(&report));
        }
        Ok(self.exit(&report))
    }

    fn drive(&self, program: Program, journal: &mut Journal) -> Result<Totals, Trouble> {
        let series = if self.targets.len() > 1 {
            Series::new(Axis::Rounds, 1)
        } else {
            Series::new(Axis::Time(Mono::now()), program.interval.as_nanos() as u64)
        };
        let goals = self.common.verdict.goodput.clone();
        let mut totals = Totals::new(self.targets.len(), goals, &series);
        let mut live = Live::new(self.common.show.quiet, self.expected);
        let mut workers = Workers::start(program).map_err(|error| Trouble::broken(&error))?;
        workers.stop_on_interrupt();
        let mut written = Ok(());
        for interval in workers.notes() {
            totals.add(&interval);
            written = written.and_then(|()| journal.add(&interval));
            live.show(&totals, &self.targets, &interval);
        }
        live.end();
        workers.join().map_err(|error| Trouble::broken(&error))?;
        written.map_err(|error| Trouble::broken(&error))?;
        Ok(totals)
    }

    fn report(
        &self,
        totals: &Totals,
        comparison: Option<Comparison>,
        taken_at: SystemTime,
        command: String,
    ) -> Report {
        let mut lag = request_histogram();
        for account in &totals.accounts {
            let _ = lag.add(account.tally.histogram(Measure::Lag));
        }
        let bounds = self.common.verdict.bounds();
        let targets = self.targets.iter().zip(&totals.accounts).map(|(named, account)| {
            let about = About {
                name: named.name.clone(),
                url: named.url.clone(),
                asked_rate: self.asked_rate,
                goals: !self.common.verdict.goodput.is_empty(),
                processes: named.processes.clone(),
            };
            target_report(&about, account)
        });
        Report {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            taken_at: format::moment(taken_at),
            command,
            machine: host::machine(),
            settings: self.settings.clone(),
            generator: Generator::judge(&lag, &totals.load, self.open_loop, &bounds),
            failed_conditions: self.failed(totals, comparison.as_ref()),
            definitions: Measure::ALL
                .into_iter()
                .map(|measure| Definition { name: measure.name(), means: measure.definition() })
                .collect(),
            targets: targets.collect(),
            comparison,
        }
    }

    /// Which conditions failed the run.
    fn failed(&self, totals: &Totals, comparison: Option<&Comparison>) -> Vec<String> {
        let mut failed = Vec::new();
        for (place, (named, account)) in self.targets.iter().zip(&totals.accounts).enumerate() {
            let tally = &account.tally;
            if self.common.verdict.verify && tally.verified == 0 {
                failed
                    .push(format!("verify: {} sent no stream that could be compared", named.name));
            }
            let mismatches = tally.failures.get(&FailureKind::Mismatch);
            if let Some(count) = mismatches {
                failed.push(format!(
                    "verify: {count} streams of {} differ from what the upstream sent",
                    named.name
                ));
            }
            for condition in &self.common.verdict.fail_if {
                if condition.is_relative() && comparison.is_some() && place == 0 {
                    continue;
                }
                let added = |measure: Measure, quantile: f64| {
                    comparison.and_then(|all| all.added_by(&named.name, measure, quantile))
                };
                match condition.judge(&named.name, tally, added) {
                    Verdict::Passed => {}
                    Verdict::Failed(why) | Verdict::Unknown(why) => failed.push(why),
                }
            }
        }
        failed
    }

    fn exit(&self, report: &Report) -> Exit {
        let served = report.targets.iter().all(|target| target.succeeded > 0);
        if !report.generator.void.is_empty() {
            for reason in &report.generator.void {
                eprintln!("loadtest: void: {reason}");
            }
            if !self.common.verdict.allow_void {
                return Exit::Void;
            }
        }
        if !report.failed_conditions.is_empty() {
            return Exit::Failed;
        }
        if served { Exit::Ok } else { Exit::Broken }
    }
}

/// Refuses conditions on targets that are not there: they would pass for ever.
pub(super) fn check_conditions(conditions: &[Condition], targets: &[Named]) -> Result<(), Trouble> {
    for condition in conditions {
        if let Some(name) = condition.target()
            && !targets.iter().any(|target| target.name == name)
        {
            return Err(Trouble::usage("--fail-if", &format!("no target is named {name:?}")));
        }
        if condition.is_relative() && targets.len() < 2 {
            let why = "added_… needs a baseline: use `loadtest compare`";
            return Err(Trouble::usage("--fail-if", &why));
        }
    }
    Ok(())
}
