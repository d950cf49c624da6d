//! The clocks that limits go by.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::admit::quota::Now;

/// From the monotonic clock to [`Now`]. Clones are the same clock; so are those of later configurations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) began: Instant,
    /// Some limit goes by the calendar. Otherwise nobody looks at that.
    pub(super) by_calendar: bool,
}

impl Clock {
    pub(super) fn at(self, at: Instant) -> Now {
        let nanos = at.saturating_duration_since(self.began).as_nanos();
        let unix = if self.by_calendar { unix() } else { 0 };
        Now { nanos: u64::try_from(nanos).unwrap_or(u64::MAX), unix }
    }
}

/// Seconds since 1970.
pub(super) fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
