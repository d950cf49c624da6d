//! Numbers and moments for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds with three significant digits and a fitting unit.
pub fn nanos(value: f64) -> String {
    let size = value.abs();
    let (scaled, unit) = match size {
        _ if size < 1e3 => return format!("{value:.0} ns"),
        _ if size < 999.5e3 => (value / 1e3, "µs"),
        _ if size < 999.5e6 => (value / 1e6, "ms"),
        _ => (value / 1e9, "s"),
    };
    let decimals = match scaled.abs() {
        size if size < 9.995 => 2,
        size if size < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.decimals$} {unit}")
}

/// As [`nanos`], with its sign always.
pub fn added(value: f64) -> String {
    if value < 0.0 { format!("−{}", nanos(-value)) } else { format!("+{}", nanos(value)) }
}

/// A count with thousands apart.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate per second.
pub fn rate(value: f64) -> String {
    if value < 1000.0 { format!("{value:.1}/s") } else { format!("{}/s", count(value as u64)) }
}

/// Bytes in binary units.
pub fn bytes(value: u64) -> String {
    let mut scaled = value as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if scaled < 1024.0 {
            return if unit == "B" { format!("{value} B") } else { format!("{scaled:.1} {unit}") };
        }
        scaled /= 1024.0;
    }
    format!("{scaled:.1} TiB")
}

/// A duration as it was written: `250us`, `10ms`, `1.5s`.
pub fn span(value: Duration) -> String {
    nanos(value.as_nanos() as f64)
}

/// A moment in UTC as RFC 3339 writes it, to the second.
pub fn moment(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days.cast_signed());
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The Gregorian date of a day counted from 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_fitting_unit() {
        let shown = [0.0, 999.0, 1_234.0, 45_600.0, 999_499.0, 999_600.0, 12_345_678.0, 2.5e9];
        let expected =
            ["0 ns", "999 ns", "1.23 µs", "45.6 µs", "999 µs", "1.00 ms", "12.3 ms", "2.50 s"];
        assert_eq!(shown.map(nanos), expected);
        assert_eq!((added(-1500.0), added(20.0)), ("−1.50 µs".into(), "+20 ns".into()));
    }

    #[test]
    fn counts_and_sizes_are_legible() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([512, 2048, 5 << 20].map(bytes), ["512 B", "2.0 KiB", "5.0 MiB"]);
    }

    #[test]
    fn moments_follow_the_calendar() {
        let at = |seconds| moment(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_795_341_599), "2026-11-22T09:59:59Z");
    }
}
