//! What an upstream says of its own limits in an answer's head: pure.

use std::time::Duration;

use http::HeaderMap;

/// Longer than this nobody is believed: a request is sent then, and its answer says more.
const LONGEST: Duration = Duration::from_secs(60);

/// What is left of an upstream's limits, and until when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// So many more requests; for so long.
    pub requests: Option<(u64, Duration)>,
    /// So many more tokens; for so long.
    pub tokens: Option<(u64, Duration)>,
}

impl Told {
    /// As `x-ratelimit-remaining-{requests,tokens}` and `x-ratelimit-reset-{requests,tokens}` say; nothing where one of
    /// the two is missing or not understood.
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let pair = |remaining: &str, reset: &str| {
            let remaining =
                text(remaining)?.trim().parse::<f64>().ok().filter(|left| left.is_finite())?;
            Some((remaining.max(0.0) as u64, duration(text(reset)?.trim())?))
        };
        Self {
            requests: pair("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
            tokens: pair("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
        }
    }

    /// So many more requests may be sent, for so long. Of tokens nobody knows what a request will take: only none at
    /// all is a limit of requests.
    pub fn allows(&self) -> Option<(u64, Duration)> {
        let no_tokens = self.tokens.filter(|(left, _)| *left == 0);
        let no_requests = self.requests.filter(|(left, _)| *left == 0);
        let longer = no_tokens.into_iter().chain(no_requests).max_by_key(|(_, reset)| *reset);
        longer.or(self.requests)
    }
}

/// What is believed of a pause that an upstream asks for.
pub(super) fn believed(pause: Duration) -> Duration {
    pause.min(LONGEST)
}

/// `1s`, `6m0s`, `2m59.56s`, `120ms` as Go writes them, or seconds. An instant of the calendar is no duration.
fn duration(text: &str) -> Option<Duration> {
    let seconds = |number: f64, unit: f64| Duration::try_from_secs_f64(number * unit).ok();
    if let Ok(number) = text.parse::<f64>() {
        return seconds(number, 1.0).filter(|pause| pause.as_secs() < 1_000_000);
    }
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at(end);
        let unit_end = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum = sum.checked_add(seconds(number.parse().ok()?, unit)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const S: Duration = Duration::from_secs(1);

    fn told(lines: &[(&'static str, &'static str)]) -> Told {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Told::of(&headers)
    }

    #[test]
    fn resets_are_understood_as_the_apis_write_them() {
        let ms = |ms| Some(Duration::from_millis(ms));
        for (text, means) in [
            ("1s", ms(1_000)),
            ("6m0s", ms(360_000)),
            ("2m59.56s", ms(179_560)),
            ("120ms", ms(120)),
            ("1h2m3s", ms(3_723_000)),
            ("1d", ms(86_400_000)),
            ("2", ms(2_000)),
            ("0.5", ms(500)),
            ("", None),
            ("s", None),
            ("soon", None),
            ("-1s", None),
            ("1w", None),
            ("1.2.3s", None),
            ("1700000000", None),
            ("1e300s", None),
            ("2026-11-28T00:00:00Z", None),
        ] {
            assert_eq!(duration(text), means, "{text:?}");
        }
    }

    #[test]
    fn the_longest_wait_of_what_is_used_up_counts() {
        let requests =
            [("x-ratelimit-remaining-requests", "3"), ("x-ratelimit-reset-requests", "1s")];
        assert_eq!(told(&requests).allows(), Some((3, S)));
        let mut all = requests.to_vec();
        all.extend([("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "2s")]);
        assert_eq!(told(&all).allows(), Some((0, S * 2)));
        all[2] = ("x-ratelimit-remaining-tokens", "17");
        assert_eq!(told(&all).allows(), Some((3, S)));
        assert_eq!(told(&requests[..1]).allows(), None, "nobody says until when");
        assert_eq!(told(&[]).allows(), None);
    }

    #[test]
    fn nobody_keeps_us_away_for_ever() {
        assert_eq!(believed(S * 7), S * 7);
        assert_eq!(believed(Duration::MAX), LONGEST);
    }
}
