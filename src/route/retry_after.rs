//! How long to wait before a member is asked again: pure.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName, RETRY_AFTER};

/// Longer pauses are told apart from none by nobody, and an upstream must not choose an instant that does
/// not exist.
const LONGEST_ASKED: Duration = Duration::from_secs(7 * 24 * 3600);

/// The finer form of `retry-after`, in milliseconds, at which the SDKs look first.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// How long an answer's head asks to be left alone: `retry-after-ms`, else `retry-after` in seconds or as
/// a date (RFC 9110, section 10.2.3). `None` where it does not say so, or says nothing that is understood.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let seconds = |text: &str, unit: f64| {
        let number: f64 = text.trim().parse().ok()?;
        Some(Duration::try_from_secs_f64(number * unit).ok()?.min(LONGEST_ASKED))
    };
    if let Some(pause) = text(&RETRY_AFTER_MS).and_then(|ms| seconds(ms, 1e-3)) {
        return Some(pause);
    }
    let after = text(&RETRY_AFTER)?;
    seconds(after, 1.0).or_else(|| {
        let date = httpdate::parse_http_date(after).ok()?;
        Some(date.duration_since(now).unwrap_or_default().min(LONGEST_ASKED))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn asked(lines: &[(&'static str, &'static str)]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        // 1994-11-15 08:12:31 UTC
        retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(784_887_151))
    }

    #[test]
    fn every_form_of_retry_after_is_understood() {
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(asked(&[("retry-after", "7")]), ms(7_000));
        assert_eq!(asked(&[("retry-after", "0")]), ms(0));
        assert_eq!(asked(&[("retry-after", "1.5")]), ms(1_500));
        assert_eq!(asked(&[("retry-after-ms", "1500"), ("retry-after", "60")]), ms(1_500));
        assert_eq!(asked(&[("retry-after-ms", "soon"), ("retry-after", "60")]), ms(60_000));
        assert_eq!(asked(&[("retry-after", "Tue, 15 Nov 1994 08:12:41 GMT")]), ms(10_000));
        assert_eq!(asked(&[("retry-after", "1e18")]), Some(LONGEST_ASKED));
        let far = asked(&[("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")]);
        assert_eq!(far, Some(LONGEST_ASKED));
        assert_eq!(asked(&[("retry-after", "Tue, 15 Nov 1994 08:12:21 GMT")]), ms(0), "it is past");
    }

    #[test]
    fn what_is_no_pause_is_none() {
        assert_eq!(asked(&[]), None);
        for odd in ["soon", "-1", "NaN", "inf", "1e300", ""] {
            assert_eq!(asked(&[("retry-after", odd)]), None, "{odd:?}");
        }
    }
}
