//! When requests should start: one iterator for every mode. It decides without a clock.

use std::str::FromStr;
use std::time::Duration;

use crate::duration;
use crate::random::Random;

/// When a request should start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// At this offset from the run's beginning, whatever the target does (open loop).
    At(Duration),
    /// As soon as one of the slots is free (closed loop).
    WhenFree,
}

/// How arrivals of an open loop are spaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// At equal intervals.
    #[default]
    Constant,
    /// At random, as from independent users: exponential gaps (a Poisson process).
    Poisson,
}

/// A span of an open loop whose rate goes evenly from one value to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// How long.
    pub span: Duration,
    /// Requests per second at its beginning.
    pub from: f64,
    /// Requests per second at its end.
    pub to: f64,
}

impl Stage {
    /// A stage of one rate.
    pub fn constant(span: Duration, rate: f64) -> Self {
        Self { span, from: rate, to: rate }
    }

    /// How many requests are due in it.
    fn count(&self) -> f64 {
        self.span.as_secs_f64() * f64::midpoint(self.from, self.to)
    }

    /// When, from its beginning, `level` requests are due: the inverse of the area under the rate.
    fn moment(&self, level: f64) -> f64 {
        let slope = (self.to - self.from) / self.span.as_secs_f64();
        // The stable root: no division by a slope that may be 0.
        2.0 * level / (self.from + (self.from * self.from + 2.0 * slope * level).max(0.0).sqrt())
    }
}

/// `10s@200` for a constant rate, `30s@100..500` for a ramp.
impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a stage; write it like 10s@200 or 30s@100..500");
        let (span, rates) = text.split_once('@').ok_or_else(wrong)?;
        let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
        let rate = |text: &str| match text.parse::<f64>() {
            Ok(rate) if rate.is_finite() && rate >= 0.0 => Ok(rate),
            _ => Err(wrong()),
        };
        let stage = Self { span: duration::parse(span)?, from: rate(from)?, to: rate(to)? };
        if stage.count() > 0.0 { Ok(stage) } else { Err(wrong()) }
    }
}

/// Reads `500`, `64k`, `1m`: bytes, at most 64 MiB.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let text = text.to_ascii_lowercase();
    let (digits, scale) = match text.as_bytes().last() {
        Some(b'k') => (&text[..text.len() - 1], 1024),
        Some(b'm') => (&text[..text.len() - 1], 1024 * 1024),
        _ => (&text[..], 1),
    };
    let number: usize =
        digits.parse().map_err(|_| "write a size like 500, 64k or 1m".to_owned())?;
    number
        .checked_mul(scale)
        .filter(|size| *size <= 64 << 20)
        .ok_or("write a size of at most 64m".into())
}

/// The intended starts of a run.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// Whenever a slot is free, `left` times.
    Closed {
        /// How many are left; `None` without end.
        left: Option<u64>,
    },
    /// By the clock.
    Open(Open),
}

impl Schedule {
    /// A closed loop of `count` requests, or without end.
    pub fn closed(count: Option<u64>) -> Self {
        Self::Closed { left: count }
    }

    /// An open loop through `stages`, ending with the last stage or after `count` requests.
    pub fn open(stages: Vec<Stage>, arrivals: Arrivals, count: Option<u64>, seed: u64) -> Self {
        let random = (arrivals == Arrivals::Poisson).then(|| Random::new(seed));
        let mut stages = stages.into_iter();
        let stage = stages.next();
        Self::Open(Open { stage, stages, begin: 0.0, level: 0.0, random, left: count })
    }
}

impl Iterator for Schedule {
    type Item = Start;

    fn next(&mut self) -> Option<Start> {
        match self {
            Self::Closed { left } => take_one(left).map(|()| Start::WhenFree),
            Self::Open(open) => take_one(&mut open.left).and_then(|()| open.next()),
        }
    }
}

fn take_one(left: &mut Option<u64>) -> Option<()> {
    if let Some(left) = left {
        *left = left.checked_sub(1)?;
    }
    Some(())
}

/// The open loop's state.
#[derive(Clone, Debug)]
pub struct Open {
    stage: Option<Stage>,
    stages: std::vec::IntoIter<Stage>,
    /// Seconds before the present stage.
    begin: f64,
    /// Requests due in the present stage up to the next one.
    level: f64,
    random: Option<Random>,
    left: Option<u64>,
}

impl Open {
    fn next(&mut self) -> Option<Start> {
        let mut stage = self.stage?;
        // A Poisson process of varying rate is one of rate 1 on the scale of requests due.
        if let Some(random) = &mut self.random {
            self.level += random.exponential();
        }
        while self.level >= stage.count() {
            self.level -= stage.count();
            self.begin += stage.span.as_secs_f64();
            self.stage = self.stages.next();
            stage = self.stage?;
        }
        let at = self.begin + if self.level > 0.0 { stage.moment(self.level) } else { 0.0 };
        if self.random.is_none() {
            self.level += 1.0;
        }
        Some(Start::At(Duration::try_from_secs_f64(at).unwrap_or(Duration::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(schedule: Schedule) -> Vec<f64> {
        let offset = |start| match start {
            Start::At(offset) => offset.as_secs_f64(),
            Start::WhenFree => panic!("an open loop waits for nobody"),
        };
        schedule.map(offset).collect()
    }

    fn open(stages: &[&str], arrivals: Arrivals) -> Vec<f64> {
        let stages = stages.iter().map(|text| text.parse().unwrap()).collect();
        offsets(Schedule::open(stages, arrivals, None, 1))
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced_from_the_beginning() {
        let due = open(&["2s@4"], Arrivals::Constant);
        assert_eq!(due, [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]);
    }

    #[test]
    fn a_ramp_starts_as_many_as_the_area_under_its_rate() {
        let due = open(&["10s@0..100", "1s@100"], Arrivals::Constant);
        assert_eq!(due.len(), 600);
        assert!(due.is_sorted());
        let first_half = due.iter().filter(|at| **at < 5.0).count();
        assert!((120..=130).contains(&first_half), "a quarter of the ramp's: {first_half}");
    }

    #[test]
    fn poisson_arrivals_keep_the_rate_and_scatter_the_gaps() {
        let due = open(&["50s@100"], Arrivals::Poisson);
        assert!((4_700..5_300).contains(&due.len()), "{}", due.len());
        let gaps: Vec<f64> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let short = gaps.iter().filter(|gap| **gap < 0.01).count() as f64 / gaps.len() as f64;
        assert!((short - 0.632).abs() < 0.03, "1 - 1/e of the gaps are under the mean: {short}");
    }

    #[test]
    fn a_closed_loop_counts() {
        assert_eq!(Schedule::closed(Some(3)).count(), 3);
        assert_eq!(Schedule::closed(None).take(9).count(), 9);
        let stage = vec![Stage::constant(Duration::from_secs(1), 1000.0)];
        assert_eq!(Schedule::open(stage, Arrivals::Constant, Some(7), 0).count(), 7);
    }

    #[test]
    fn what_is_not_a_stage_is_refused() {
        for text in ["", "10s", "10s@", "10s@-1", "10s@0", "@5", "1y@5", "1s@nan", "0s@5"] {
            assert!(text.parse::<Stage>().is_err(), "{text}");
        }
    }
}
