//! Durations, sizes and counts: strict in what is read, generous in what is suggested.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Around, Kind};
use crate::config::file::fault::Complaint;

/// Units that are read, largest first, in milliseconds.
const TIME_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Units that are read, largest first, in bytes; the first of each size is the one that is shown.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("Gi", 1 << 30),
    ("MiB", 1 << 20),
    ("Mi", 1 << 20),
    ("KiB", 1 << 10),
    ("Ki", 1 << 10),
    ("", 1),
];

/// An integer as the configuration holds it.
pub(in crate::config) trait Number:
    Copy + PartialOrd + Sync + TryFrom<u64>
{
    /// As it is read and shown.
    fn wide(self) -> u64;
}

impl Number for u32 {
    fn wide(self) -> u64 {
        self.into()
    }
}

impl Number for u64 {
    fn wide(self) -> u64 {
        self
    }
}

impl Number for usize {
    fn wide(self) -> u64 {
        self as u64
    }
}

/// A whole number within bounds.
pub(in crate::config) struct Count<N> {
    pub(in crate::config) default: N,
    pub(in crate::config) within: RangeInclusive<N>,
}

/// Bytes within bounds, with or without a binary unit.
pub(in crate::config) struct Size<N> {
    pub(in crate::config) default: N,
    pub(in crate::config) within: RangeInclusive<N>,
}

/// A duration with its unit: at least a millisecond, at most a week, beyond which it is more
/// likely a slip than a wish.
pub(in crate::config) struct Span {
    pub(in crate::config) default: Duration,
}

impl Span {
    /// One that is only ever written; see [`Optional`](super::optional::Optional).
    pub(in crate::config) const ANY: Self = Self { default: SHORTEST };
}

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

impl<N: Number> Count<N> {
    /// One that is only ever written; see [`Optional`](super::optional::Optional).
    pub(in crate::config) const fn within(within: RangeInclusive<N>) -> Self {
        Self { default: *within.start(), within }
    }
}

impl<N: Number> Kind for Count<N> {
    type Value = N;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<N, Complaint> {
        let (least, most) = (self.within.start().wide(), self.within.end().wide());
        let hint = format!("write a number from {least} to {most}");
        let number = digits(text).ok_or_else(|| Complaint::new("is not a whole number", &hint))?;
        within(number, &self.within).ok_or_else(|| Complaint::new("is out of range", hint))
    }

    fn absent(&self) -> N {
        self.default
    }

    fn name(&self) -> String {
        format!("number, {}–{}", self.within.start().wide(), self.within.end().wide())
    }

    fn default_text(&self) -> Option<String> {
        Some(self.default.wide().to_string())
    }

    fn schema(&self) -> Value {
        let (least, most) = (self.within.start().wide(), self.within.end().wide());
        json!({ "anyOf": [
            { "type": "integer", "minimum": least, "maximum": most },
            { "type": "string", "pattern": "^[0-9]+$|\\$\\{" },
        ] })
    }
}

impl<N: Number> Kind for Size<N> {
    type Value = N;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<N, Complaint> {
        let size = with_unit(text, &SIZE_UNITS).ok_or_else(|| {
            let likely = loosely(text, &SIZE_WORDS).map_or_else(|| "64KiB".into(), show_size);
            if let Some(decimal) = loosely(text, &DECIMAL_WORDS) {
                let what = "has a unit that some read as 1000s and some as 1024s";
                let hint = format!("write {likely} for 1024s, or {decimal} for 1000s");
                return Complaint::new(what, hint);
            }
            let what = "is not a size (a number of bytes, or a number with `KiB`, `MiB` or `GiB`)";
            Complaint::new(what, format!("write {likely}"))
        })?;
        if let Some(size) = within(size, &self.within) {
            return Ok(size);
        }
        let (least, most) =
            (show_size(self.within.start().wide()), show_size(self.within.end().wide()));
        Err(Complaint::new("is out of range", format!("write a size from {least} to {most}")))
    }

    fn absent(&self) -> N {
        self.default
    }

    fn name(&self) -> String {
        format!(
            "size, {}–{}",
            show_size(self.within.start().wide()),
            show_size(self.within.end().wide())
        )
    }

    fn default_text(&self) -> Option<String> {
        Some(show_size(self.default.wide()))
    }

    fn schema(&self) -> Value {
        let (least, most) = (self.within.start().wide(), self.within.end().wide());
        json!({ "anyOf": [
            { "type": "integer", "minimum": least, "maximum": most },
            { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?([KMG]iB?)?$|\\$\\{" },
        ] })
    }
}

impl Kind for Span {
    type Value = Duration;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Duration, Complaint> {
        let duration = read_duration(text)?;
        if (SHORTEST..=LONGEST).contains(&duration) {
            return Ok(duration);
        }
        let (least, most) = (show_duration(SHORTEST), show_duration(LONGEST));
        let hint = format!("write a duration from {least} to {most}");
        Err(Complaint::new("is out of range", hint))
    }

    fn absent(&self) -> Duration {
        self.default
    }

    fn name(&self) -> String {
        "duration".into()
    }

    fn default_text(&self) -> Option<String> {
        Some(show_duration(self.default))
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(h|ms|m|s))+$|\\$\\{" })
    }
}

/// A duration such as `500ms`, `5s`, `1.5h` or `1m30s`; zero is one too.
///
/// # Errors
/// What is wrong and what to write, as one sentence.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    read_duration(text).map_err(|wrong| format!("{}; {}", wrong.what, wrong.hint))
}

fn read_duration(text: &str) -> Result<Duration, Complaint> {
    by_units(text).map(Duration::from_millis).ok_or_else(|| {
        let likely = loosely(text, &TIME_WORDS).map(Duration::from_millis);
        let what = "is not a duration (numbers with `ms`, `s`, `m` or `h`)";
        Complaint::new(what, format!("write {}", likely.map_or("30s".into(), show_duration)))
    })
}

/// As an operator would write it: `10m`, not `600000ms`.
pub(in crate::config) fn show_duration(duration: Duration) -> String {
    show(duration.as_millis().try_into().unwrap_or(u64::MAX), &TIME_UNITS, "0s")
}

/// As an operator would write it: `64KiB`, not `65536`.
pub(in crate::config) fn show_size(bytes: u64) -> String {
    show(bytes, &SIZE_UNITS, "0")
}

fn show(amount: u64, units: &[(&str, u64)], zero: &str) -> String {
    if amount == 0 {
        return zero.into();
    }
    let fitting = units.iter().find(|(_, factor)| amount.is_multiple_of(*factor));
    fitting
        .map_or_else(|| amount.to_string(), |(unit, factor)| format!("{}{unit}", amount / factor))
}

fn within<N: Number>(number: u64, bounds: &RangeInclusive<N>) -> Option<N> {
    N::try_from(number).ok().filter(|number| bounds.contains(number))
}

/// Digits only: no sign, no underscore, no exponent; `None` beyond `u64` too.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A number and its unit, such as `64KiB` or `0.5s`, as a whole number of the smallest unit.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let (whole, part) = match number.split_once('.') {
        Some((whole, part)) => (digits(whole)?, fraction(part, *factor)?),
        None => (digits(number)?, 0),
    };
    whole.checked_mul(*factor)?.checked_add(part)
}

/// What stands after the point, of a unit worth `factor`; `None` where that is not a whole number.
fn fraction(part: &str, factor: u64) -> Option<u64> {
    const MOST_DIGITS: usize = 9;
    let digits = digits(part).filter(|_| (1..=MOST_DIGITS).contains(&part.len()))?;
    let of = 10_u64.pow(part.len() as u32);
    let scaled = digits.checked_mul(factor)?;
    scaled.is_multiple_of(of).then(|| scaled / of)
}

/// One or more numbers with units, the larger units first and each once: `1m30s`.
fn by_units(text: &str) -> Option<u64> {
    let (mut rest, mut total, mut largest) = (text, 0_u64, u64::MAX);
    loop {
        let unit = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let after = rest[unit..].find(|c: char| !c.is_ascii_alphabetic());
        let (one, remaining) = rest.split_at(after.map_or(rest.len(), |after| unit + after));
        let (_, factor) = TIME_UNITS.iter().find(|(name, _)| *name == &one[unit..])?;
        if *factor >= largest {
            return None;
        }
        (largest, total) = (*factor, total.checked_add(with_unit(one, &TIME_UNITS)?)?);
        if remaining.is_empty() {
            return Some(total);
        }
        rest = remaining;
    }
}

/// How people write units elsewhere; only ever used to word a suggestion.
const TIME_WORDS: [(&[&str], u64); 5] = [
    (&["ms", "msec", "msecs", "millis", "millisecond", "milliseconds"], 1),
    (&["", "s", "sec", "secs", "second", "seconds"], 1_000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600_000),
    (&["d", "day", "days"], 86_400_000),
];
const SIZE_WORDS: [(&[&str], u64); 4] = [
    (&["", "b", "byte", "bytes"], 1),
    (&["k", "kb", "kib"], 1 << 10),
    (&["m", "mb", "mib"], 1 << 20),
    (&["g", "gb", "gib"], 1 << 30),
];

/// Units of which nobody knows whether thousands are meant; only ever used to word a suggestion.
const DECIMAL_WORDS: [(&[&str], u64); 3] =
    [(&["k", "kb"], 1_000), (&["m", "mb"], 1_000_000), (&["g", "gb"], 1_000_000_000)];

/// What was probably meant by `5 sec`, `1m30s`, `1.5h`, `64 kb`; `None` where that is unclear.
fn loosely(text: &str, words: &[(&[&str], u64)]) -> Option<u64> {
    let kept = text.chars().filter(|c| !c.is_whitespace() && *c != '_');
    let text: String = kept.map(|c| c.to_ascii_lowercase()).collect();
    let (mut rest, mut total) = (&*text, 0.0_f64);
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(unit_at);
        let next = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, remaining) = after.split_at(next);
        let (_, factor) = words.iter().find(|(names, _)| names.contains(&unit))?;
        total += number.parse::<f64>().ok()? * *factor as f64;
        rest = remaining;
    }
    (1.0..1e15).contains(&total).then(|| total.round() as u64)
}
