//! Dates as logs write them: by the calendar, in UTC, without a time zone's data.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::algo::calendar::Date;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The two clocks at one moment: instants become dates by their distance from it, so that the path
/// reads one clock and the log follows a clock that was set.
#[derive(Clone, Copy)]
pub(in crate::record) struct ClockPair {
    monotonic: Instant,
    wall: SystemTime,
}

impl ClockPair {
    pub(in crate::record) fn now() -> ClockPair {
        ClockPair { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    pub(super) fn date(&self, at: Instant) -> SystemTime {
        let ago = self.monotonic.saturating_duration_since(at);
        self.wall.checked_sub(ago).unwrap_or(UNIX_EPOCH)
    }
}

/// UTC with milliseconds (RFC 3339, section 5.6). A date before 1970 reads as 1970.
pub(super) fn rfc3339(date: SystemTime) -> String {
    let since = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let Date { year, month, day } = Date::of(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

/// As the Common Log Format has it, without its brackets: `10/Oct/2000:13:55:36 +0000`.
pub(super) fn common(date: SystemTime) -> String {
    let since = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let Date { year, month, day } = Date::of(days);
    let month = MONTHS.get(month as usize - 1).unwrap_or(&"Jan"); // 1 to 12 by its making
    format!(
        "{day:02}/{month}/{year:04}:{:02}:{:02}:{:02} +0000",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text, clf) in [
            (0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000"),
            (951_782_399, "2000-02-28T23:59:59.000Z", "28/Feb/2000:23:59:59 +0000"),
            (951_782_400, "2000-02-29T00:00:00.000Z", "29/Feb/2000:00:00:00 +0000"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z", "29/Feb/2024:23:59:59 +0000"),
            (1_735_689_600, "2025-01-01T00:00:00.000Z", "01/Jan/2025:00:00:00 +0000"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z", "01/Mar/2100:00:00:00 +0000"),
        ] {
            let date = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!((&*rfc3339(date), &*common(date)), (text, clf));
        }
        assert!(rfc3339(UNIX_EPOCH + Duration::from_millis(1_234)).ends_with("01.234Z"));
    }
}
