//! Ids of events: ours, and those that publishers choose.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::str::FromStr;

/// Longest id that a publisher may choose, in bytes; it stands in a header.
pub(super) const LONGEST: usize = 256;

/// Hex digits of an epoch.
const EPOCH_DIGITS: usize = 16;

/// What one life of a name is told from another by: 64 random bits, as 16 lower-case hex digits. They are no secret.
///
/// Without it a name that begins anew would count from 1 again, and a client that comes back with the id of an event
/// of the life before would miss as many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(pub u64);

impl Epoch {
    /// A new one.
    pub fn random() -> Self {
        // Seeded by the kernel, as the standard library's hash maps are.
        Self(RandomState::new().build_hasher().finish())
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// An event's place in the order of its name, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stamp {
    /// The how-manieth of its epoch, from 1.
    Count(u64),
    /// The id that Redis gave it: milliseconds of its clock, and a number among those of the same millisecond.
    Redis(u64, u64),
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(nth) => write!(f, "{nth}"),
            Self::Redis(ms, nth) => write!(f, "{ms}-{nth}"),
        }
    }
}

/// An id that we gave: `EPOCH-STAMP`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnId {
    /// Of the name's life.
    pub epoch: Epoch,
    /// In that life.
    pub stamp: Stamp,
}

impl fmt::Display for OwnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.stamp)
    }
}

impl OwnId {
    /// `None` where the text is not exactly what [`OwnId`] shows.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, stamp) = split(text)?;
        let stamp = match stamp.split_once('-') {
            None => Stamp::Count(number(stamp)?),
            Some((ms, nth)) => Stamp::Redis(number(ms)?, number(nth)?),
        };
        Some(Self { epoch, stamp })
    }
}

/// Whether a text looks like an id of ours, so that no publisher may choose it.
pub(super) fn is_like_ours(text: &str) -> bool {
    split(text).is_some()
}

fn split(text: &str) -> Option<(Epoch, &str)> {
    let (epoch, rest) = text.split_at_checked(EPOCH_DIGITS)?;
    let digits = epoch.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let epoch = u64::from_str_radix(epoch, 16).ok().filter(|_| digits)?;
    Some((Epoch(epoch), rest.strip_prefix('-')?))
}

/// As it would be shown: no sign, no zero in front.
fn number(text: &str) -> Option<u64> {
    let is_shown = text == "0" || text.starts_with(|first: char| matches!(first, '1'..='9'));
    u64::from_str(text).ok().filter(|_| is_shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn epochs_differ() {
        assert_ne!(Epoch::random(), Epoch::random());
        assert_eq!(Epoch(10).to_string(), "000000000000000a");
    }

    #[test]
    fn what_is_not_exactly_shown_so_is_no_id_of_ours() {
        let ours = "00000000000000ff-12";
        assert_eq!(OwnId::parse(ours).unwrap().stamp, Stamp::Count(12));
        for other in [
            "",
            "12",
            "00000000000000ff",
            "00000000000000ff-",
            "00000000000000ff--1",
            "00000000000000ff-+1",
            "00000000000000ff-01",
            "00000000000000FF-1",
            "00000000000000ff-1-",
            "00000000000000ff-1-2-3",
            "00000000000000ff-99999999999999999999",
            "+0000000000000ff-1",
            "0000000000000éf-1",
        ] {
            assert_eq!(OwnId::parse(other), None, "{other}");
        }
        assert!(is_like_ours("00000000000000ff-01") && !is_like_ours("order-5"));
    }

    proptest! {
        #[test]
        fn an_id_reads_as_it_is_shown(epoch: u64, one: u64, two: Option<u64>) {
            let stamp = two.map_or(Stamp::Count(one), |two| Stamp::Redis(one, two));
            let id = OwnId { epoch: Epoch(epoch), stamp };
            prop_assert_eq!(OwnId::parse(&id.to_string()), Some(id));
        }

        #[test]
        fn no_text_is_too_strange(text: String) {
            if let Some(id) = OwnId::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
