//! Goodput's goals: times that a request must keep to count as good.

use std::str::FromStr;

use crate::client::Outcome;
use crate::duration;

use super::kinds::Measure;

/// Bounds on a request's measures; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Goals(Vec<(Measure, u64)>);

impl Goals {
    /// Whether a request that succeeded keeps them all. A measure that it does not have is kept.
    pub fn met_by(&self, outcome: &Outcome) -> bool {
        self.0
            .iter()
            .all(|(measure, bound)| measure.of(outcome).is_none_or(|value| value <= *bound))
    }

    /// Whether there is no goal.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `ttft:200ms tpot:30ms`, with spaces or commas.
impl FromStr for Goals {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        let goals = words.map(|word| {
            let (name, bound) = word
                .split_once(':')
                .ok_or_else(|| format!("{word:?} is not a goal; write it like ttft:200ms"))?;
            let measure = Measure::named(name).filter(|measure| !measure.is_per_event());
            let measure =
                measure.ok_or_else(|| format!("{name:?} is not a measure of one request"))?;
            Ok((measure, duration::parse(bound)?.as_nanos() as u64))
        });
        goals.collect::<Result<_, String>>().map(Self)
    }
}

impl std::fmt::Display for Goals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (nth, (measure, bound)) in self.0.iter().enumerate() {
            let gap = if nth == 0 { "" } else { " " };
            write!(f, "{gap}{} ≤ {:?}", measure.name(), std::time::Duration::from_nanos(*bound))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Mono, Stamps};

    #[test]
    fn a_request_is_good_if_it_keeps_every_goal() {
        let goals: Goals = "ttfb:1us,total:2us".parse().unwrap();
        let outcome = |head, end| {
            let stamps = Stamps {
                due: Mono(1),
                head: Some(Mono(head)),
                end: Mono(end),
                ..Stamps::default()
            };
            Outcome { stamps, ..Outcome::default() }
        };
        assert!(goals.met_by(&outcome(1001, 2001)));
        assert!(!goals.met_by(&outcome(1002, 2001)));
        assert!(!goals.met_by(&outcome(1001, 2002)));
    }

    #[test]
    fn what_is_not_a_goal_is_refused() {
        for text in ["ttft", "ttft:", "gap:1ms", "x:1ms", "ttft:1q"] {
            assert!(text.parse::<Goals>().is_err(), "{text}");
        }
    }
}
