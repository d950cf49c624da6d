//! The report as text, for a terminal.

use std::fmt::Write as _;

use super::model::{Definition, MeasureReport, Report, TargetReport};
use crate::compare::{Added, Comparison};
use crate::format;

/// The columns of the measures' table.
const COLUMNS: [&str; 6] = ["p50", "p90", "p95", "p99", "p99.9", "p99.99"];

/// The whole report as text. Each measure's definition is printed beside it.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    for target in &report.targets {
        // Writing into a String cannot fail.
        let _ = summary(&mut out, target);
        let _ = measures(&mut out, target);
    }
    if let Some(comparison) = &report.comparison {
        let _ = compared(&mut out, comparison);
    }
    let _ = closing(&mut out, report);
    out
}

fn summary(out: &mut String, target: &TargetReport) -> std::fmt::Result {
    writeln!(out, "\n{}  {}", target.name, target.url)?;
    let failed = target.requests - target.succeeded;
    write!(
        out,
        "  {} requests, {} succeeded, {} failed in {:.1} s: {}",
        format::count(target.requests),
        format::count(target.succeeded),
        format::count(failed),
        target.seconds,
        format::rate(target.rate)
    )?;
    if let (Some(asked), Some(started)) = (target.asked_rate, target.started_rate) {
        let (asked, started) = (format::rate(asked), format::rate(started));
        write!(out, " (started {started} of {asked} requested)")?;
    }
    writeln!(
        out,
        "\n  tokens {}, events {}, bytes {}/s, connections opened for a request {}",
        format::rate(target.token_rate),
        format::rate(target.event_rate),
        format::bytes(target.byte_rate as u64),
        format::count(target.connects)
    )?;
    if let Some(good) = target.good {
        let measured = target.requests - target.slow_readers;
        let share = 100.0 * good as f64 / measured.max(1) as f64;
        writeln!(out, "  goodput: {} requests met every goal ({share:.2} %)", format::count(good))?;
    }
    if target.slow_readers > 0 {
        let slow = format::count(target.slow_readers);
        writeln!(out, "  slow readers: {slow} requests, excluded from the latencies below")?;
    }
    if target.verified > 0 {
        writeln!(out, "  bytes: {} streams verified", format::count(target.verified))?;
    }
    if let Some(process) = &target.process {
        let memory = process.memory_bytes.map_or("unknown".to_owned(), format::bytes);
        writeln!(
            out,
            "  processes: {} of CPU time per request, {} per event; memory {memory} PSS",
            format::nanos(process.cpu_ns_per_request),
            format::nanos(process.cpu_ns_per_event)
        )?;
    }
    for (kind, failure) in &target.failures {
        let examples = failure.examples.join("; ");
        writeln!(out, "  {kind}: {} ({examples})", format::count(failure.count))?;
    }
    Ok(())
}

fn measures(out: &mut String, target: &TargetReport) -> std::fmt::Result {
    write!(out, "\n  {:<12}", "")?;
    for column in COLUMNS {
        write!(out, "{column:>10}")?;
    }
    writeln!(out, "{:>10}{:>10}{:>12}", "max", "mean", "count")?;
    for measure in &target.measures {
        row(out, measure)?;
    }
    Ok(())
}

fn row(out: &mut String, measure: &MeasureReport) -> std::fmt::Result {
    write!(out, "  {:<12}", measure.name)?;
    for column in COLUMNS {
        let shown = measure.quantiles.get(column).map(|value| format::nanos(*value as f64));
        write!(out, "{:>10}", shown.as_deref().unwrap_or("–"))?;
    }
    let (max, mean) = (format::nanos(measure.max as f64), format::nanos(measure.mean));
    writeln!(out, "{max:>10}{mean:>10}{:>12}", format::count(measure.count))
}

fn compared(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    writeln!(
        out,
        "\nAdded to {}: {} rounds of {:.1} s slices in rotation, {:.0} % bootstrap interval from \
         {} resamples",
        comparison.baseline,
        comparison.rounds,
        comparison.slice_seconds,
        comparison.confidence * 100.0,
        format::count(comparison.resamples as u64)
    )?;
    writeln!(
        out,
        "  {:<14}{:<10}{:<7}{:>11}{:>11}{:>12}  {:<24}{:>16}",
        "target",
        "measure",
        "",
        comparison.baseline,
        "value",
        "added",
        "interval",
        "median of rounds"
    )?;
    for added in &comparison.added {
        added_row(out, added)?;
    }
    Ok(())
}

fn added_row(out: &mut String, added: &Added) -> std::fmt::Result {
    let interval = format!("[{}, {}]", format::added(added.low_ns), format::added(added.high_ns));
    writeln!(
        out,
        "  {:<14}{:<10}{:<7}{:>11}{:>11}{:>12}  {:<24}{:>16}{}",
        added.target,
        added.measure,
        added.quantile,
        format::nanos(added.baseline_ns),
        format::nanos(added.target_ns),
        format::added(added.added_ns),
        interval,
        format::added(added.median_of_rounds_ns),
        if added.within_noise { "  within noise" } else { "" }
    )
}

fn closing(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        out,
        "\nDefinitions (times start when a request was due; failed requests are excluded)"
    )?;
    for Definition { name, means } in &report.definitions {
        let measured = |target: &TargetReport| target.measures.iter().any(|own| own.name == *name);
        if report.targets.iter().any(measured) {
            writeln!(out, "  {name:<12}{means}")?;
        }
    }
    let generator = &report.generator;
    writeln!(
        out,
        "\nLoad generator: lag p50 {}, p99 {}, max {}; busy {:.0} %, waiting for a processor \
         {:.0} %",
        format::nanos(generator.lag_p50_ns as f64),
        format::nanos(generator.lag_p99_ns as f64),
        format::nanos(generator.lag_max_ns as f64),
        generator.busy * 100.0,
        generator.waiting * 100.0
    )?;
    let machine = &report.machine;
    writeln!(
        out,
        "Machine: {}, {} of {} processors, {}",
        machine.processor, machine.allowed, machine.processors, machine.system
    )?;
    for reason in &generator.void {
        writeln!(out, "VOID: {reason}")?;
    }
    for failed in &report.failed_conditions {
        writeln!(out, "FAILED: {failed}")?;
    }
    Ok(())
}
