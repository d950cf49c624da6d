//! Days of the Gregorian calendar, in UTC: pure arithmetic, without a time zone's data.

/// A day by its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// From 1970 on.
    pub year: u64,
    /// 1 to 12.
    pub month: u64,
    /// 1 to 31.
    pub day: u64,
}

/// Seconds of a day. Unix time knows no leap second.
pub const DAY: u64 = 86_400;

impl Date {
    /// Of a number of days since 1970-01-01. Years are counted from March, so that the leap day is the last of its
    /// year.
    pub fn of(days: u64) -> Self {
        let days = days + 719_468; // since 0000-03-01
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self { year: era * 400 + year + u64::from(month <= 2), month, day }
    }

    /// Days since 1970-01-01; 0 for what is earlier.
    pub fn days(self) -> u64 {
        let year = self.year - u64::from(self.month <= 2);
        let (era, of_era) = (year / 400, year % 400);
        let from_march = (self.month + 9) % 12;
        let of_year = (153 * from_march + 2) / 5 + self.day - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
        days.saturating_sub(719_468)
    }

    /// `2026-11-28`, with four, two and two digits; `None` for what is no day from 1970 to 9999.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let number = |part: &str| {
            part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()
        };
        let date = Self {
            year: number(&text[..4])?,
            month: number(&text[5..7])?,
            day: number(&text[8..])?,
        };
        let is_one = date.year >= 1970 && (1..=12).contains(&date.month) && date.day >= 1;
        // A day that its month does not have comes back as another.
        (is_one && Self::of(date.days()) == date).then_some(date)
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_comes_back_and_the_next_is_one_more() {
        for days in 0..200_000 {
            assert_eq!(Date::of(days).days(), days);
            assert!(Date::of(days) < Date::of(days + 1));
        }
        let known = [(0, "1970-01-01"), (19_782, "2024-02-29"), (20_785, "2026-11-28")];
        for (days, text) in known {
            assert_eq!(Date::of(days).to_string(), text);
            assert_eq!(Date::parse(text), Some(Date::of(days)));
        }
    }

    #[test]
    fn what_is_no_day_is_none() {
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-1-01",
            "2026-01-00",
            "1969-12-31",
            "2026-11-3x",
            "ä2026-11-3",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }
}
