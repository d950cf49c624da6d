//! The verdict in Markdown for people and in JSON with every sample.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitStatus;

use serde::Serialize;

use crate::format::{bytes, count};
use crate::measure::host::{Machine, machine};

use super::Spec;
use super::samples::{Sample, Trend};
use super::traffic::Tally;

/// Fewer samples than this in the second half show no trend.
const SAMPLES_LEAST: usize = 10;

/// What a soak came to.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// Why it failed; empty where it passed.
    pub reasons: Vec<String>,
    command: Vec<String>,
    seed: u64,
    seconds: f64,
    slots: usize,
    reloads_every_seconds: Option<f64>,
    machine: Machine,
    tally: serde_json::Value,
    trends: [Trend; 2],
    in_flight_at_end: Option<f64>,
    exit: String,
    panics: Vec<String>,
    samples: Vec<Sample>,
}

impl Verdict {
    /// Judges a soak that is over.
    pub(super) fn of(
        spec: &Spec,
        tally: &Tally,
        samples: Vec<Sample>,
        in_flight_at_end: Option<f64>,
        status: Option<ExitStatus>,
        panics: Vec<String>,
    ) -> Self {
        let trends = Trend::of(&samples);
        let mut reasons = Vec::new();
        if tally.wrong > 0 {
            reasons.push(format!("{} requests had a wrong result", tally.wrong));
        }
        if tally.whole == 0 {
            reasons.push("no response was complete: the soak proves nothing".into());
        }
        for trend in &trends {
            if !trend.is_flat() {
                let Trend { name, rise, bound, .. } = trend;
                reasons.push(format!("{name} rose by {rise:.0}, above the limit of {bound:.0}"));
            }
        }
        if samples.len() < 2 * SAMPLES_LEAST {
            reasons
                .push(format!("{} samples are too few for a trend: run for longer", samples.len()));
        }
        match in_flight_at_end {
            Some(value) if value <= 0.0 => {}
            Some(value) => reasons.push(format!("{value} requests in flight after all had ended")),
            None => reasons.push(format!("/metrics has no {}", spec.in_flight)),
        }
        let exit = match status {
            Some(status) if status.success() => "0 after SIGTERM".to_owned(),
            Some(status) => format!("{status} after SIGTERM"),
            None => "none: it did not exit and was killed".to_owned(),
        };
        if status.is_none_or(|status| !status.success()) {
            reasons.push(format!("the proxy's exit status: {exit}"));
        }
        if !panics.is_empty() {
            reasons.push("the proxy's log contains a panic".into());
        }
        Self {
            reasons,
            command: spec.command.iter().map(|word| without_folders(word)).collect(),
            seed: spec.seed,
            seconds: samples.last().map_or(0.0, |sample| sample.seconds),
            slots: spec.slots,
            reloads_every_seconds: spec.reload.map(|every| every.as_secs_f64()),
            machine: machine(),
            tally: serde_json::to_value(tally).unwrap_or_default(),
            trends,
            in_flight_at_end,
            exit,
            panics,
            samples,
        }
    }

    /// Whether nothing failed it.
    pub fn passed(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Writes `soak.md` and `soak.json` into `folder`.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join("soak.json"), serde_json::to_string_pretty(self)? + "\n")?;
        fs::write(folder.join("soak.md"), self.markdown())
    }

    /// The report for people.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        // Writing into a String cannot fail.
        let _ = self.head(&mut out).and_then(|()| self.body(&mut out));
        out
    }

    fn head(&self, out: &mut String) -> std::fmt::Result {
        let verdict = if self.passed() { "PASS" } else { "FAIL" };
        writeln!(out, "# Soak: {verdict}\n")?;
        for reason in &self.reasons {
            writeln!(out, "- **{reason}**")?;
        }
        let reload = match self.reloads_every_seconds {
            Some(every) => format!("SIGHUP every {every} s"),
            None => "no reloads".to_owned(),
        };
        writeln!(
            out,
            "\n`{}`: {:.0} s, seed {}, {} concurrent requests, {reload}; {}, {} processors, {}.\n",
            self.command.join(" "),
            self.seconds,
            self.seed,
            self.slots,
            self.machine.processor,
            self.machine.processors,
            self.machine.system
        )
    }

    fn body(&self, out: &mut String) -> std::fmt::Result {
        let number = |name: &str| count(self.tally[name].as_u64().unwrap_or(0));
        writeln!(
            out,
            "| requests | complete | injected fault | client disconnected | excused | wrong | \
             bytes |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|")?;
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            number("requests"),
            number("whole"),
            number("broken"),
            number("left"),
            number("excused"),
            number("wrong"),
            bytes(self.tally["bytes"].as_u64().unwrap_or(0))
        )?;
        writeln!(
            out,
            "| second half of the run | mean | rise | limit of the rise |\n|---|---|---|---|"
        )?;
        for Trend { name, mean, rise, bound } in &self.trends {
            writeln!(out, "| {name} | {mean:.0} | {rise:+.0} | {bound:.0} |")?;
        }
        let left = self.in_flight_at_end.map_or("unknown".to_owned(), |value| value.to_string());
        writeln!(
            out,
            "\nIn flight at the end: {left}. Exit: {}. Panics: {}.",
            self.exit,
            self.panics.len()
        )?;
        writeln!(out, "\n| injected fault | results |\n|---|---|")?;
        for (fault, ends) in self.tally["faults"].as_object().into_iter().flatten() {
            let ends = ends.as_object().into_iter().flatten();
            let told: Vec<String> = ends.map(|(end, times)| format!("{end} {times}")).collect();
            writeln!(out, "| `{fault}` | {} |", told.join(", "))?;
        }
        writeln!(
            out,
            "\nExcused: the request failed while a fault was injected into another request on the \
             same upstream. Outside the storms nothing is excused. Every complete stream was \
             compared with the mock upstream's SHA-256, every echo with what was sent, and every \
             response was searched for the marks of other tenants."
        )?;
        for wrong in self.tally["wrongs"].as_array().into_iter().flatten() {
            writeln!(out, "\n- {}", wrong.as_str().unwrap_or_default())?;
        }
        self.panics.iter().try_for_each(|panic| writeln!(out, "\n- {panic}"))
    }
}

/// A word of a command line as a report shows it: of an absolute path its name, since the folders are those of one machine.
fn without_folders(word: &str) -> String {
    let name = Path::new(word).file_name().filter(|_| word.starts_with('/'));
    name.map_or_else(|| word.to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_no_folder_of_the_machine() {
        let shown =
            ["target/release/firstbyte", "-c", "/scratch/firstbyte.yaml", "/"].map(without_folders);
        assert_eq!(shown, ["target/release/firstbyte", "-c", "firstbyte.yaml", "/"]);
    }
}
