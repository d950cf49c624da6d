//! Conditions that fail a run, for CI: `ttfb_p99>5ms`, `error_rate>1%`, `proxy:gap_mean>=2ms`.

use std::str::FromStr;

use crate::measure::{Measure, Tally};
use crate::{duration, format};

/// A bound whose crossing fails the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    text: String,
    target: Option<String>,
    quantity: Quantity,
    above: bool,
    inclusive: bool,
    bound: f64,
}

/// What a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantity {
    /// In nanoseconds.
    Time(Measure, Statistic),
    /// What a target adds to the baseline, in nanoseconds.
    Added(Measure, f64),
    Errors,
    ErrorRate,
    Requests,
    Rate,
    TokenRate,
    Goodput,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Statistic {
    Mean,
    Min,
    Max,
    /// 0 to 1.
    Quantile(f64),
}

/// A condition that holds, and so fails the run; or one that cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Did not hold.
    Passed,
    /// Held: with the target and the value, for people.
    Failed(String),
    /// The run has no such value: also a failure, since nothing was shown.
    Unknown(String),
}

impl Condition {
    /// Judges one target. `added` gives what the target adds to the baseline in a measure at a
    /// quantile, in nanoseconds, where that is known. A condition on another target passes.
    pub fn judge(
        &self,
        name: &str,
        tally: &Tally,
        added: impl FnOnce(Measure, f64) -> Option<f64>,
    ) -> Verdict {
        if self.target.as_ref().is_some_and(|target| target != name) {
            return Verdict::Passed;
        }
        let value = match self.quantity {
            Quantity::Added(measure, quantile) => added(measure, quantile),
            other => other.of(tally),
        };
        let Some(value) = value else {
            return Verdict::Unknown(format!("{}: {name} has no such measurement", self.text));
        };
        let crossed = if self.above { value > self.bound } else { value < self.bound };
        if crossed || (self.inclusive && (value - self.bound).abs() < f64::EPSILON) {
            let shown = self.quantity.show(value);
            return Verdict::Failed(format!("{}: {name} has {shown}", self.text));
        }
        Verdict::Passed
    }

    /// Whether it compares with the baseline, which therefore is not judged.
    pub fn is_relative(&self) -> bool {
        matches!(self.quantity, Quantity::Added(..))
    }

    /// The target it is about, if it names one.
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }
}

impl Quantity {
    fn of(self, tally: &Tally) -> Option<f64> {
        let share = |part: u64| (tally.requests > 0).then(|| part as f64 / tally.requests as f64);
        match self {
            Self::Time(measure, statistic) => {
                let histogram = tally.histogram(measure);
                (!histogram.is_empty()).then(|| match statistic {
                    Statistic::Mean => histogram.mean(),
                    Statistic::Min => histogram.min() as f64,
                    Statistic::Max => histogram.max() as f64,
                    Statistic::Quantile(quantile) => histogram.value_at_quantile(quantile) as f64,
                })
            }
            Self::Errors => Some(tally.failed() as f64),
            Self::ErrorRate => share(tally.failed()),
            Self::Goodput => share(tally.good),
            Self::Requests => Some(tally.requests as f64),
            Self::Rate => Some(tally.per_second(tally.requests)),
            Self::TokenRate => Some(tally.per_second(tally.tokens)),
            Self::Added(..) => None,
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Time(..) | Self::Added(..) => format::nanos(value),
            Self::ErrorRate | Self::Goodput => format!("{:.3} %", value * 100.0),
            Self::Errors | Self::Requests => format!("{value:.0}"),
            Self::Rate | Self::TokenRate => format!("{value:.1}/s"),
        }
    }

    fn bound(self, text: &str) -> Result<f64, String> {
        let number = |text: &str| {
            text.parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())
                .ok_or_else(|| format!("{text:?} is not a number"))
        };
        match self {
            Self::Time(..) | Self::Added(..) => {
                // Nothing here is measured so finely that nanoseconds would say more.
                let bare = text.parse::<f64>().is_ok_and(|number| number != 0.0);
                if bare || text.ends_with("ns") {
                    return Err(format!("{text:?} needs a unit: us, ms or s"));
                }
                Ok(duration::parse(text)?.as_nanos() as f64)
            }
            Self::ErrorRate | Self::Goodput => match text.strip_suffix('%') {
                Some(percent) => Ok(number(percent.trim())? / 100.0),
                None => number(text),
            },
            Self::Errors | Self::Requests | Self::Rate | Self::TokenRate => number(text),
        }
    }
}

impl FromStr for Quantity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a known quantity; write one like ttfb_p99, gap_mean, \
                 added_ttfb_p50, errors, error_rate, requests, rate, token_rate, goodput"
            )
        };
        match text {
            "errors" => return Ok(Self::Errors),
            "error_rate" => return Ok(Self::ErrorRate),
            "requests" => return Ok(Self::Requests),
            "rate" => return Ok(Self::Rate),
            "token_rate" => return Ok(Self::TokenRate),
            "goodput" => return Ok(Self::Goodput),
            _ => {}
        }
        let relative = text.strip_prefix("added_");
        let (name, statistic) = relative.unwrap_or(text).rsplit_once('_').ok_or_else(wrong)?;
        let measure = Measure::named(name).ok_or_else(wrong)?;
        let statistic: Statistic = statistic.parse().map_err(|()| wrong())?;
        match (relative, statistic) {
            (None, statistic) => Ok(Self::Time(measure, statistic)),
            (Some(_), Statistic::Quantile(quantile)) => Ok(Self::Added(measure, quantile)),
            (Some(_), _) => Err(wrong()),
        }
    }
}

impl FromStr for Statistic {
    type Err = ();

    /// `mean`, `min`, `max`, or `p` and digits: `p50`, `p99`, `p999` and `p99.9` are as they read.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "mean" => return Ok(Self::Mean),
            "min" => return Ok(Self::Min),
            "max" => return Ok(Self::Max),
            _ => {}
        }
        let digits = text.strip_prefix('p').ok_or(())?;
        let percent = match digits.len() {
            3.. if digits.starts_with("99") && !digits.contains('.') => {
                format!("{}.{}", &digits[..2], &digits[2..])
            }
            _ => digits.to_owned(),
        };
        let percent: f64 = percent.parse().map_err(|_| ())?;
        if (0.0..=100.0).contains(&percent) { Ok(Self::Quantile(percent / 100.0)) } else { Err(()) }
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place = text
            .find(['<', '>'])
            .ok_or_else(|| format!("{text:?} has neither < nor >; write it like 'ttfb_p99>5ms'"))?;
        let (left, right) = text.split_at(place);
        let (target, quantity) = match left.trim().rsplit_once(':') {
            Some((target, quantity)) => (Some(target.to_owned()), quantity),
            None => (None, left.trim()),
        };
        let quantity: Quantity = quantity.parse()?;
        let inclusive = right[1..].starts_with('=');
        let bound = quantity.bound(right[1 + usize::from(inclusive)..].trim())?;
        let above = right.starts_with('>');
        Ok(Self { text: text.to_owned(), target, quantity, above, inclusive, bound })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Mono, Outcome, Stamps};
    use crate::measure::{Goals, Interval, Recorder};

    fn tally() -> Tally {
        let (totals, notes) = std::sync::mpsc::sync_channel(8);
        let recorder = Recorder::new(0, totals);
        for nth in 1..=100 {
            let stamps = Stamps {
                due: Mono(1),
                started: Mono(1),
                head: Some(Mono(1 + nth * 100_000)),
                end: Mono(1_000_000_001),
                ..Stamps::default()
            };
            recorder.started();
            recorder.ended(nth, Outcome { stamps, ..Outcome::default() }, true);
        }
        recorder.open(0, 0);
        let page: Interval = notes.recv().unwrap();
        let mut tally = Tally::default();
        tally.add(&page, &Goals::default());
        tally
    }

    fn fails(text: &str) -> bool {
        let condition: Condition = text.parse().unwrap();
        let added = |_, quantile: f64| (quantile > 0.9).then_some(50_000.0);
        matches!(condition.judge("proxy", &tally(), added), Verdict::Failed(_))
    }

    #[test]
    fn a_condition_fails_the_run_when_it_holds() {
        assert!(fails("ttfb_p99>5ms") && !fails("ttfb_p99>10ms"));
        assert!(fails("ttfb_p50 < 10ms") && fails("ttfb_max>=9ms") && fails("ttfb_p99.9>9ms"));
        assert!(fails("requests<=100") && !fails("requests<100") && !fails("errors>0"));
        assert!(fails("rate<101") && !fails("error_rate>0%"));
        assert!(fails("added_ttfb_p99>49us") && !fails("added_ttfb_p99>51us"));
        assert!(fails("proxy:ttfb_p99>5ms") && !fails("direct:ttfb_p99>5ms"));
    }

    #[test]
    fn a_value_that_was_not_measured_does_not_pass() {
        for text in ["leg_up_p50>1s", "added_ttfb_p50>1s"] {
            let condition: Condition = text.parse().unwrap();
            let verdict = condition.judge("x", &tally(), |_, _| None);
            assert!(matches!(verdict, Verdict::Unknown(_)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_condition_is_refused() {
        for text in
            ["", "ttfb", "ttfb_p99", "ttfb_p99>5", "ttfb_p101>5ms", "x_p5>1ms", "errors>x", "a>1"]
        {
            assert!(text.parse::<Condition>().is_err(), "{text}");
        }
    }
}
