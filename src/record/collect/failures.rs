//! What is said on stderr of requests that an upstream failed: the first of each upstream and cause at once, then
//! one in a minute with the number of those since, over all workers together. The metric counts each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::labels::{LabelId, Labels};
use crate::error::{Cause, Error};
use crate::record::id::RequestId;

/// So often the same is said at most.
const EACH: Duration = Duration::from_secs(60);

/// Shared by all workers. It is locked for a failure only, and for as long as a look into a map takes.
pub(in crate::record) struct FailureLog {
    labels: Arc<Labels>,
    said: Mutex<HashMap<(LabelId, Cause), Said>>,
}

/// When it was last said, and how many were not told since.
struct Said {
    at: Instant,
    since: u64,
}

impl FailureLog {
    pub(in crate::record) fn new(labels: Arc<Labels>) -> Self {
        Self { labels, said: Mutex::default() }
    }

    /// One more request failed.
    pub(in crate::record) fn tell(
        &self,
        upstream: LabelId,
        cause: Cause,
        error: &Error,
        id: RequestId,
    ) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(untold) = next(&mut said, (upstream, cause), Instant::now()) else { return };
        drop(said);
        tracing::warn!(
            upstream = self.labels.upstream(Some(upstream)),
            error = error.kind().code(),
            cause = cause.word(),
            found = error.found(),
            request = %id,
            untold,
            "the upstream failed a request: {}",
            cause.message()
        );
    }
}

/// Whether it is said now, and how many before it were not.
fn next<K: Eq + std::hash::Hash>(
    said: &mut HashMap<K, Said>,
    what: K,
    now: Instant,
) -> Option<u64> {
    let Some(before) = said.get_mut(&what) else {
        said.insert(what, Said { at: now, since: 0 });
        return Some(0);
    };
    if now < before.at + EACH {
        before.since += 1;
        return None;
    }
    before.at = now;
    Some(std::mem::take(&mut before.since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_at_once_and_then_one_in_a_minute_with_a_count() {
        let (mut said, start) = (HashMap::new(), Instant::now());
        assert_eq!(next(&mut said, "a", start), Some(0));
        assert_eq!(next(&mut said, "b", start), Some(0), "each cause has its own minute");
        for _ in 0..7 {
            assert_eq!(next(&mut said, "a", start + EACH / 2), None);
        }
        assert_eq!(next(&mut said, "a", start + EACH), Some(7));
        assert_eq!(next(&mut said, "a", start + EACH), None);
    }
}
