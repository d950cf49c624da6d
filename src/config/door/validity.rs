//! From when to when a certificate holds: the one field of it that TLS libraries do not tell.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// DER's tags (X.690, section 8).
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The moments before and after which an X.509 certificate does not hold (RFC 5280, section 4.1.2.5). `None`
/// where this is no certificate.
pub(super) fn validity(certificate: &[u8]) -> Option<(SystemTime, SystemTime)> {
    let (tag, certificate, _) = element(certificate)?;
    let (inner, mut rest, _) = element(certificate.filter_tag(tag, SEQUENCE)?)?;
    if inner != SEQUENCE {
        return None;
    }
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (tag, times, _) = element(rest)?;
    let (tag_before, before, rest) = element(times.filter_tag(tag, SEQUENCE)?)?;
    let (tag_after, after, _) = element(rest)?;
    Some((time(tag_before, before)?, time(tag_after, after)?))
}

trait Tagged: Sized {
    fn filter_tag(self, tag: u8, wanted: u8) -> Option<Self>;
}

impl Tagged for &[u8] {
    fn filter_tag(self, tag: u8, wanted: u8) -> Option<Self> {
        (tag == wanted).then_some(self)
    }
}

/// The first element's tag and content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, short], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = if short < 0x80 {
        (usize::from(short), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

fn time(tag: u8, text: &[u8]) -> Option<SystemTime> {
    let number = |digits: &[u8]| {
        let digits = std::str::from_utf8(digits).ok()?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok())?
    };
    let (year, rest) = match tag {
        // Two digits are of 1950 to 2049.
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = number(year)?;
            (year + if year < 50 { 2000 } else { 1900 }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let rest = rest.strip_suffix(b"Z").filter(|rest| rest.len() == 10)?;
    let mut parts = rest.chunks(2).map(number);
    let mut part = || parts.next().flatten();
    let (month, day) = (part()?, part()?);
    let (hour, minute, second) = (part()?, part()?, part()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year < 1970 {
        return (year < 1970).then_some(UNIX_EPOCH);
    }
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Days from 1 January 1970 to this date of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    // Years begin in March here: the leap day is then the last one.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let before = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1;
    before - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(tag: u8, text: &str) -> Option<u64> {
        Some(time(tag, text.as_bytes())?.duration_since(UNIX_EPOCH).ok()?.as_secs())
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(seconds(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(seconds(UTC_TIME, "000229235959Z"), Some(951_868_799));
        assert_eq!(seconds(UTC_TIME, "261128124240Z"), Some(1_795_869_760));
        assert_eq!(seconds(GENERALIZED_TIME, "20500101000000Z"), Some(2_524_608_000));
        assert_eq!(seconds(GENERALIZED_TIME, "99991231235959Z"), Some(253_402_300_799));
        assert_eq!(seconds(UTC_TIME, "500101000000Z"), Some(0), "before all clocks");
        for odd in ["", "26112812424Z", "2611281242400", "261328124240Z", "+61128124240Z"] {
            assert_eq!(seconds(UTC_TIME, odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_certificate_says_from_when_to_when_it_holds() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["a.test".into()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2025, 2, 28);
        parameters.not_after = rcgen::date_time_ymd(2061, 3, 1);
        let certificate = parameters.self_signed(&key).unwrap();
        let after_epoch = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let expected = (after_epoch(1_740_700_800), after_epoch(2_876_860_800));
        assert_eq!(validity(certificate.der()), Some(expected));
        for cut in 0..certificate.der().len().min(200) {
            assert_eq!(validity(&certificate.der()[..cut]), None, "{cut}");
        }
        assert_eq!(validity(b"\x30\x84\xff\xff\xff\xff"), None);
    }
}
