//! Units of durations and sizes: how numbers with them are read and shown, and what was likely meant by others.

/// Units that are read, largest first, in milliseconds.
pub(super) const TIME_UNITS: [(&str, u64); 4] =
    [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Units that are read, largest first, in bytes; the first of each size is the one that is shown.
pub(super) const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("Gi", 1 << 30),
    ("MiB", 1 << 20),
    ("Mi", 1 << 20),
    ("KiB", 1 << 10),
    ("Ki", 1 << 10),
    ("", 1),
];

/// In the largest unit of which it is a whole number.
pub(super) fn show(amount: u64, units: &[(&str, u64)], zero: &str) -> String {
    if amount == 0 {
        return zero.into();
    }
    let fitting = units.iter().find(|(_, factor)| amount.is_multiple_of(*factor));
    fitting
        .map_or_else(|| amount.to_string(), |(unit, factor)| format!("{}{unit}", amount / factor))
}

/// Digits only: no sign, no underscore, no exponent; `None` beyond `u64` too.
pub(super) fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A number and its unit, such as `64KiB` or `0.5s`, as a whole number of the smallest unit.
pub(super) fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let (whole, part) = match number.split_once('.') {
        Some((whole, part)) => (digits(whole)?, fraction(part, *factor)?),
        None => (digits(number)?, 0),
    };
    whole.checked_mul(*factor)?.checked_add(part)
}

/// What stands after the point, of a unit worth `factor`; `None` where that is not a whole number.
fn fraction(part: &str, factor: u64) -> Option<u64> {
    const MOST_DIGITS: usize = 9;
    let digits = digits(part).filter(|_| (1..=MOST_DIGITS).contains(&part.len()))?;
    let of = 10_u64.pow(part.len() as u32);
    let scaled = digits.checked_mul(factor)?;
    scaled.is_multiple_of(of).then(|| scaled / of)
}

/// One or more numbers with units, the larger units first and each once: `1m30s`.
pub(super) fn by_units(text: &str) -> Option<u64> {
    let (mut rest, mut total, mut largest) = (text, 0_u64, u64::MAX);
    loop {
        let unit = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let after = rest[unit..].find(|c: char| !c.is_ascii_alphabetic());
        let (one, remaining) = rest.split_at(after.map_or(rest.len(), |after| unit + after));
        let (_, factor) = TIME_UNITS.iter().find(|(name, _)| *name == &one[unit..])?;
        if *factor >= largest {
            return None;
        }
        (largest, total) = (*factor, total.checked_add(with_unit(one, &TIME_UNITS)?)?);
        if remaining.is_empty() {
            return Some(total);
        }
        rest = remaining;
    }
}

/// How people write units elsewhere; only ever used to word a suggestion.
pub(super) const TIME_WORDS: [(&[&str], u64); 5] = [
    (&["ms", "msec", "msecs", "millis", "millisecond", "milliseconds"], 1),
    (&["", "s", "sec", "secs", "second", "seconds"], 1_000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600_000),
    (&["d", "day", "days"], 86_400_000),
];
pub(super) const SIZE_WORDS: [(&[&str], u64); 4] = [
    (&["", "b", "byte", "bytes"], 1),
    (&["k", "kb", "kib"], 1 << 10),
    (&["m", "mb", "mib"], 1 << 20),
    (&["g", "gb", "gib"], 1 << 30),
];

/// Units of which nobody knows whether thousands are meant; only ever used to word a suggestion.
pub(super) const DECIMAL_WORDS: [(&[&str], u64); 3] =
    [(&["k", "kb"], 1_000), (&["m", "mb"], 1_000_000), (&["g", "gb"], 1_000_000_000)];

/// What was probably meant by `5 sec`, `1m30s`, `1.5h`, `64 kb`; `None` where that is unclear.
pub(super) fn loosely(text: &str, words: &[(&[&str], u64)]) -> Option<u64> {
    let kept = text.chars().filter(|c| !c.is_whitespace() && *c != '_');
    let text: String = kept.map(|c| c.to_ascii_lowercase()).collect();
    let (mut rest, mut total) = (&*text, 0.0_f64);
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(unit_at);
        let next = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, remaining) = after.split_at(next);
        let (_, factor) = words.iter().find(|(names, _)| names.contains(&unit))?;
        total += number.parse::<f64>().ok()? * *factor as f64;
        rest = remaining;
    }
    (1.0..1e15).contains(&total).then(|| total.round() as u64)
}
