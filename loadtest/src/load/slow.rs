//! Slow readers: which of a run's requests are read slowly on purpose, and how slowly.

use std::num::NonZeroU32;
use std::str::FromStr;

use crate::client::Pace;
use crate::duration;

use super::schedule::parse_size;

/// A share of the requests that is read slowly.
///
/// They load the target as slow clients do and are checked like all others, but are in no latency:
/// the figures are those of the readers beside them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slow {
    /// Of all requests, over 0 and at most 1.
    share: f64,
    pace: Pace,
}

impl Slow {
    /// How request `id` is read: the slow ones are spread evenly and do not depend on threads.
    pub fn pace_of(&self, id: u64) -> Pace {
        let before = |id: u64| (id as f64 * self.share).floor();
        if before(id + 1) > before(id) { self.pace } else { Pace::Full }
    }
}

/// `10%@16k/s` for a tenth at 16 KiB/s, `5%@200ms` for a twentieth that pauses after each read.
impl FromStr for Slow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not a share and a pace; write it like 10%@16k/s or 5%@200ms");
        let (share, pace) = text.split_once('@').ok_or_else(wrong)?;
        let share = share.strip_suffix('%').ok_or_else(wrong)?;
        let share = share.parse::<f64>().map_err(|_| wrong())? / 100.0;
        if !(share > 0.0 && share <= 1.0) {
            return Err("write a share above 0% and at most 100%".into());
        }
        let pace = match pace.strip_suffix("/s") {
            Some(size) => u32::try_from(parse_size(size)?)
                .ok()
                .and_then(NonZeroU32::new)
                .map(Pace::PerSecond)
                .ok_or("write a rate of at least 1 byte per second")?,
            None => Pace::Pause(duration::parse(pace)?),
        };
        if pace == Pace::Pause(std::time::Duration::ZERO) {
            return Err("write a pause above 0".into());
        }
        Ok(Self { share, pace })
    }
}

/// As it is written.
impl std::fmt::Display for Slow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} % ", self.share * 100.0)?;
        match self.pace {
            Pace::Full => f.write_str("at once"),
            Pace::PerSecond(rate) => write!(f, "at {rate} bytes/s"),
            Pace::Pause(pause) => write!(f, "with {pause:?} between reads"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(text: &str, ids: u64) -> Vec<u64> {
        let slow: Slow = text.parse().unwrap();
        (0..ids).filter(|id| slow.pace_of(*id) != Pace::Full).collect()
    }

    #[test]
    fn the_share_is_kept_and_spread_evenly() {
        assert_eq!(slow("25%@1k/s", 12), [3, 7, 11]);
        assert_eq!(slow("100%@1ms", 3), [0, 1, 2]);
        assert_eq!(slow("0.5%@1s", 10_000).len(), 50);
        let pace = |text: &str| text.parse::<Slow>().unwrap().pace_of(0);
        assert_eq!(pace("100%@16k/s"), Pace::PerSecond(NonZeroU32::new(16 * 1024).unwrap()));
    }

    #[test]
    fn what_is_not_slow_is_refused() {
        for text in [
            "", "10%", "10@1k/s", "0%@1k/s", "101%@1ms", "-1%@1ms", "5%@0/s", "5%@0ms", "5%@x",
            "nan%@1ms",
        ] {
            assert!(text.parse::<Slow>().is_err(), "{text}");
        }
    }
}
