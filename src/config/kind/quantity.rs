//! Durations, sizes and counts: strict in what is read, generous in what is suggested.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};

use super::units::{
    DECIMAL_WORDS, SIZE_UNITS, SIZE_WORDS, TIME_UNITS, TIME_WORDS, by_units, digits, loosely, show,
    with_unit,
};
use super::{Around, Kind};
use crate::config::file::fault::Complaint;

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

fn within<N: Number>(number: u64, bounds: &RangeInclusive<N>) -> Option<N> {
    N::try_from(number).ok().filter(|number| bounds.contains(number))
}
