//! What was measured, as a small table.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::Value;

use super::compare::{Compared, Side};
use super::screen::{Screen, Style};
use crate::cli::Demo;

/// The table's lines, and what to know about it.
pub(super) fn lines(
    screen: &Screen,
    wanted: &Demo,
    compared: &Compared,
    inside: Option<&Value>,
) -> Vec<String> {
    let Compared { direct, through, failures } = compared;
    let mut lines = vec![format!(
        "{} streams direct and {} through the proxy, alternating; {} tokens each, {} apart\n",
        grouped(direct.streams),
        grouped(through.streams),
        wanted.tokens,
        time(wanted.gap.as_nanos() as u64),
    )];
    if direct.streams > 0 && through.streams > 0 {
        lines.extend(measured(screen, direct, through));
    }
    lines.extend(verdict(direct, through, failures));
    lines.extend(inside.and_then(inside_lines).into_iter().flatten());
    lines.push(String::new());
    lines.extend(caveat());
    lines
}

/// What is taken of a side.
type Measure = fn(&Side) -> &Histogram<u64>;

fn measured(screen: &Screen, direct: &Side, through: &Side) -> Vec<String> {
    let mut lines = vec![format!("{:38}{:>12}{:>12}", "", "p50", "p99")];
    let measures: [(&str, Measure); 3] = [
        ("time to first byte", |side| &side.first_byte),
        ("upstream write to client read", |side| &side.on_the_way),
        ("gap between tokens at the client", |side| &side.gap),
    ];
    for (name, of) in measures {
        let [title, direct, through, added] = rows(name, of(direct), of(through));
        lines.extend([title, direct, through, screen.styled(Style::Bold, &added)]);
    }
    lines.push(String::new());
    lines
}

fn rows(name: &str, direct: &Histogram<u64>, through: &Histogram<u64>) -> [String; 4] {
    let quantiles = |of: &Histogram<u64>| [0.5, 0.99].map(|q| of.value_at_quantile(q));
    let (direct, through) = (quantiles(direct), quantiles(through));
    let row = |name: &str, [p50, p99]: [String; 2]| format!("  {name:36}{p50:>12}{p99:>12}");
    let added = [0, 1].map(|at| more(direct[at], through[at]));
    [
        name.to_owned(),
        row("direct", direct.map(time)),
        row("through the proxy", through.map(time)),
        row("added", added),
    ]
}

fn verdict(direct: &Side, through: &Side, failures: &[String]) -> Vec<String> {
    let same = "identical to what the upstream sent";
    let mut lines = vec![
        format!(
            "bytes   {} direct, {} through the proxy: {}",
            grouped(direct.bytes),
            grouped(through.bytes),
            if failures.is_empty() { same } else { "of the streams that were complete" },
        ),
        "        (SHA-256 of each stream, computed by the upstream as it sent and by the client as"
            .to_owned(),
        "        it read, over every byte before the last event, which carries the digest)"
            .to_owned(),
        format!("errors  {}", failures.len()),
    ];
    lines.extend(failures.iter().map(|failure| format!("        {failure}")));
    lines
}

/// What the proxy says of itself: its own time per phase, without the kernel's.
fn inside_lines(stats: &Value) -> Option<[String; 2]> {
    let overhead = stats.pointer("/latency_us/overhead")?;
    let phase = |name: &str| {
        let of = |quantile: &str| overhead.get(name)?.get(quantile)?.as_f64();
        let nanos = |us: f64| (us * 1000.0) as u64;
        Some(format!("{name} {} / {}", time(nanos(of("p50")?)), time(nanos(of("p99")?))))
    };
    let phases = [phase("request")?, phase("head")?, phase("chunk")?];
    Some([
        "inside  the proxy, by its own measurement, p50 / p99 of each phase".to_owned(),
        format!("        {}", phases.join(", ")),
    ])
}

/// What these figures are not.
fn caveat() -> Vec<String> {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let mut lines = vec![
        format!(
            "A demonstration, not a benchmark: upstream, proxy and client share {cpus} CPUs of one"
        ),
        "machine. The direct client speaks HTTP/2 over TLS to the upstream; through the proxy it"
            .to_owned(),
        "speaks HTTP/1.1 without TLS, and the proxy does the TLS. \"added\" is the difference of"
            .to_owned(),
        "the two percentiles.".to_owned(),
    ];
    if cfg!(debug_assertions) {
        lines.push(
            "This is a debug build: its times are several times those of a release build.".into(),
        );
    }
    lines
}

/// `nanos` to three digits.
fn time(nanos: u64) -> String {
    let us = Duration::from_nanos(nanos).as_secs_f64() * 1e6;
    let (value, unit) = match us {
        _ if us < 1e3 => (us, "µs"),
        _ if us < 1e6 => (us / 1e3, "ms"),
        _ => (us / 1e6, "s"),
    };
    let decimals = match value {
        _ if value < 10.0 => 2,
        _ if value < 100.0 => 1,
        _ => 0,
    };
    if nanos == 0 { "0 µs".to_owned() } else { format!("{value:.decimals$} {unit}") }
}

/// What `through` is above `direct`, with its sign.
fn more(direct: u64, through: u64) -> String {
    let sign = if through < direct { '-' } else { '+' };
    format!("{sign}{}", time(through.abs_diff(direct)))
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_to_three_digits_in_the_unit_that_fits() {
        let shown = [0, 950, 12_345, 123_456, 2_004_000, 61_000_000_000].map(time);
        assert_eq!(shown, ["0 µs", "0.95 µs", "12.3 µs", "123 µs", "2.00 ms", "61.0 s"]);
    }

    #[test]
    fn what_was_added_may_be_less_than_nothing() {
        assert_eq!(
            (more(1_000, 3_500), more(3_500, 1_000)),
            ("+2.50 µs".into(), "-2.50 µs".into())
        );
    }

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
