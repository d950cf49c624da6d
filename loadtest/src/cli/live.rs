//! Progress while a run goes on: one line drawn anew on a terminal, plain lines elsewhere. It goes
//! to standard error, so that data on standard output stays clean.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use crate::format;
use crate::measure::{Interval, Measure, Totals};

use super::target_plan::Named;

/// Time between plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
/// Time between redraws on a terminal.
const DRAWN_EVERY: Duration = Duration::from_millis(200);
/// Characters of the bar.
const BAR: usize = 20;

/// The progress shown.
pub(super) struct Live {
    mode: Mode,
    begin: Instant,
    last: Option<Instant>,
    expected: Option<Duration>,
}

#[derive(PartialEq)]
enum Mode {
    Quiet,
    Drawn,
    Plain,
}

impl Live {
    /// Nothing if `quiet`; `expected` is how long the run should take.
    pub(super) fn new(quiet: bool, expected: Option<Duration>) -> Self {
        let mode = match (quiet, stderr().is_terminal()) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Drawn,
            (false, false) => Mode::Plain,
        };
        Self { mode, begin: Instant::now(), last: None, expected }
    }

    /// Shows how far the run is, if it is time to.
    pub(super) fn show(&mut self, totals: &Totals, targets: &[Named], interval: &Interval) {
        let every = if self.mode == Mode::Drawn { DRAWN_EVERY } else { PLAIN_EVERY };
        let since = self.last.unwrap_or(self.begin).elapsed();
        let early = since < every && (self.last.is_some() || self.mode == Mode::Plain);
        if self.mode == Mode::Quiet || early {
            return;
        }
        self.last = Some(Instant::now());
        let line = self.line(totals, targets, interval);
        // Drawn without line wrap: a narrow terminal shows the beginning.
        // Progress that cannot be shown is no reason to stop measuring.
        let _ = match self.mode {
            Mode::Drawn => write!(stderr(), "\r\x1b[K\x1b[?7l{line}\x1b[?7h"),
            _ => writeln!(stderr(), "{line}"),
        };
    }

    /// Takes the drawn line away.
    pub(super) fn end(&mut self) {
        if self.mode == Mode::Drawn && self.last.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }

    fn line(&self, totals: &Totals, targets: &[Named], interval: &Interval) -> String {
        let elapsed = self.begin.elapsed();
        let Some(account) = totals.accounts.get(interval.target) else { return String::new() };
        let tally = &account.tally;
        let at = |measure: Measure, quantile: f64| {
            let histogram = tally.histogram(measure);
            if histogram.is_empty() {
                return "–".to_owned();
            }
            format::nanos(histogram.value_at_quantile(quantile) as f64)
        };
        let name = targets.get(interval.target).map_or("", |named| named.name.as_str());
        if tally.requests == 0 {
            let in_flight = interval.in_flight;
            return format!("{}{name}: warming up, {in_flight} in flight", self.bar(elapsed));
        }
        let slice = if interval.slice > 0 { format!(" {}", interval.slice) } else { String::new() };
        format!(
            "{}{name}{slice}: {} requests, {}, {} in flight, {} failed; ttfb p50 {} p99 \
             {}, gap p99 {}",
            self.bar(elapsed),
            format::count(tally.requests),
            format::rate(tally.per_second(tally.requests)),
            interval.in_flight,
            format::count(tally.failed()),
            at(Measure::Ttfb, 0.5),
            at(Measure::Ttfb, 0.99),
            at(Measure::Gap, 0.99)
        )
    }

    /// How far the run is: by a bar on a terminal, in seconds in any case.
    fn bar(&self, elapsed: Duration) -> String {
        let Some(expected) = self.expected.filter(|expected| !expected.is_zero()) else {
            return format!("{:.0} s  ", elapsed.as_secs_f64());
        };
        let seconds = format!("{:.0} of {:.0} s  ", elapsed.as_secs_f64(), expected.as_secs_f64());
        if self.mode == Mode::Plain {
            return seconds;
        }
        let share = (elapsed.as_secs_f64() / expected.as_secs_f64()).min(1.0);
        let full = (share * BAR as f64) as usize;
        format!("[{}{}] {seconds}", "█".repeat(full), "·".repeat(BAR - full))
    }
}
