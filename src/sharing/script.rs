//! What is asked of Redis about limits, as the arguments of one script, and what it replies.

use redis::Value;

/// All that is done to limits in one call; see the file.
pub(super) const LIMITS: &str = include_str!("limits.lua");
/// Who shares them.
pub(super) const INSTANCES: &str = include_str!("instances.lua");

/// Values of a reply for each limit.
const VALUES: usize = 4;

/// What kind of limit it is, with what the script has to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// Units in a minute, and what a full bucket holds.
    Rate { per_minute: u64, most: u64 },
    /// Requests in flight.
    Slots { most: u64 },
    /// An amount; when its period can be forgotten, in milliseconds of Unix time, 0 for never.
    Budget { most: u64, forget: u64 },
}

/// One limit in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    /// Where its state is kept, and this instance's mark.
    pub(super) keys: [String; 2],
    pub(super) sort: Sort,
    /// Taken less given back; of slots what this instance holds.
    pub(super) n: i64,
    /// 0 for what was taken already; otherwise so many must be there.
    pub(super) need: u64,
    /// Of a report, so that one that is sent twice counts once; 0 where it does not matter.
    pub(super) seq: u64,
    /// The state that this instance knows.
    pub(super) era: String,
    /// What was used of it when it was last seen, for a state that was lost.
    pub(super) floor: i64,
    /// Of a budget: the period that its keys are of. The script knows it by them.
    pub(super) period: u64,
}

impl Ask {
    /// Of requests in flight: these are told as a count, not as a difference.
    pub(super) fn is_slots(&self) -> bool {
        matches!(self.sort, Sort::Slots { .. })
    }
}

/// What is known of one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// Whole units; less than nothing where more was taken than there was.
    pub(super) left: i64,
    /// Milliseconds until there is what was wanted, or one more.
    pub(super) wait: u64,
    pub(super) era: String,
    /// In the script's own unit.
    pub(super) used: i64,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// Which limit refused, if one did: then none was changed.
    pub(super) refused: Option<usize>,
    pub(super) told: Vec<Told>,
}

/// What one request takes of all its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Take {
    /// Where this instance's takes are kept.
    pub(super) key: String,
    /// Each has the next, so that one that arrives twice counts once.
    pub(super) number: u64,
    /// It is void from now on, and what it took is given back.
    pub(super) is_void: bool,
    /// What became of those below this number is known.
    pub(super) settled: u64,
}

/// The call's keys and arguments, in the script's order. `hold`: how long a count of slots is good for, in
/// milliseconds.
pub(super) fn arguments(
    me: &str,
    hold: u64,
    asks: &[Ask],
    take: Option<&Take>,
) -> (Vec<String>, Vec<String>) {
    let keys = asks.iter().flat_map(|ask| ask.keys.clone());
    let keys = keys.chain(take.map(|take| take.key.clone())).collect();
    let mut all = Vec::with_capacity(4 + asks.len() * 8);
    all.extend([me.to_owned(), hold.to_string()]);
    all.push(match take {
        Some(take) if take.is_void => format!("-{}", take.number),
        Some(take) => take.number.to_string(),
        None => "0".to_owned(),
    });
    all.push(take.map_or(0, |take| take.settled).to_string());
    for ask in asks {
        let (kind, limit, most) = match ask.sort {
            Sort::Rate { per_minute, most } => ("r", per_minute, most),
            Sort::Slots { most } => ("s", most, 0),
            Sort::Budget { most, forget } => ("b", most, forget),
        };
        all.extend([kind.to_owned(), ask.n.to_string(), ask.need.to_string()]);
        all.extend([ask.seq.to_string(), ask.era.clone(), ask.floor.to_string()]);
        all.extend([limit.to_string(), most.to_string()]);
    }
    (keys, all)
}

/// `None` for what the script does not reply.
pub(super) fn reply(value: &Value, asks: usize) -> Option<Reply> {
    let Value::Array(all) = value else { return None };
    let (refused, told) = all.split_first()?;
    let refused = usize::try_from(number(refused)?).ok()?;
    if told.len() != asks * VALUES {
        return None;
    }
    let told = told.chunks(VALUES).map(|one| {
        Some(Told {
            left: number(&one[0])?,
            wait: u64::try_from(number(&one[1])?).ok()?,
            era: text(&one[2])?.to_owned(),
            used: number(&one[3])?,
        })
    });
    Some(Reply { refused: refused.checked_sub(1), told: told.collect::<Option<_>>()? })
}

/// A whole number, in whatever shape the protocol's version has it.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        other => text(other)?.parse().ok(),
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_of_another_shape_is_none() {
        let bulk = |text: &str| Value::BulkString(text.into());
        let one = [bulk("-3"), bulk("1500"), bulk("12.5"), bulk("9007199254740991")];
        let whole: Vec<_> = [Value::Int(1)].into_iter().chain(one.clone()).collect();
        let read = reply(&Value::Array(whole.clone()), 1).unwrap();
        assert_eq!((read.refused, read.told[0].left, read.told[0].wait), (Some(0), -3, 1500));
        assert_eq!(read.told[0].used, 9_007_199_254_740_991);
        assert_eq!(reply(&Value::Array(whole.clone()), 2), None);
        assert_eq!(reply(&Value::Array(whole[..4].to_vec()), 1), None);
        assert_eq!(reply(&Value::Nil, 0), None);
        let other = [Value::Int(0), Value::Nil, one[1].clone(), one[2].clone(), one[3].clone()];
        assert_eq!(reply(&Value::Array(other.to_vec()), 1), None);
    }
}
