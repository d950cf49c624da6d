//! What a client reads of its limits: the headers of `OpenAI`'s API, and why a request was refused.

use std::time::Duration;

use bytes::BytesMut;

use http::{HeaderName, HeaderValue};

use super::limiter::{Limiter, Measure};
use super::{Now, Refused};
use crate::algo::calendar::{DAY, Date};
use crate::config::{Amount, Budget, NANO, Period};
use crate::error::{Detail, Error, Kind};

const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` of those limits of which the least is left. Nothing for
/// what has no limit: there the upstream's own pass.
pub(in crate::admit) fn limit_headers(
    limiters: &[Limiter],
    now: Now,
    mut put: impl FnMut(HeaderName, HeaderValue),
) {
    let (mut requests, mut tokens) = (None, None);
    for limiter in limiters {
        let (tightest, rate) = match limiter.measure() {
            Measure::Requests(rate) => (&mut requests, rate),
            Measure::Tokens(rate) => (&mut tokens, rate),
            Measure::Concurrent(_) | Measure::Budget(_) => continue,
        };
        let level = limiter.level(now);
        let before = tightest.get_or_insert((level, rate.per_minute()));
        if level.left < before.0.left {
            *before = (level, rate.per_minute());
        }
    }
    // All of them in one piece of memory.
    let mut texts = BytesMut::with_capacity(128);
    for (tightest, names) in [(requests, REQUESTS), (tokens, TOKENS)] {
        let Some((level, per_minute)) = tightest else { continue };
        for (nth, name) in names.into_iter().enumerate() {
            match nth {
                0 => number(&mut texts, per_minute),
                1 => number(&mut texts, u64::try_from(level.left).unwrap_or(0)),
                _ => reset(&mut texts, level.full_in),
            }
            if let Ok(value) = HeaderValue::from_maybe_shared(texts.split().freeze()) {
                put(name, value);
            }
        }
    }
}

/// What a client is told that ran into a limit.
pub(in crate::admit) fn refusal(refused: &Refused<'_>, limiters: &[Limiter], now: Now) -> Error {
    if refused.limiter.is_denied() {
        return Error::new(Kind::LimitsUnavailable);
    }
    let owner = refused.limiter.owner();
    let wait = refused.wait.map(Duration::from_nanos);
    let again = wait.map_or_else(String::new, |wait| {
        format!(
            " Please try again in {}.",
            reset_text(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))
        )
    });
    let (kind, openai_type, message) = match refused.limiter.measure() {
        Measure::Requests(rate) => {
            let limit = rate.per_minute();
            let text = format!(
                "Rate limit reached for {owner} on requests per minute (rpm): limit {limit}.{again}"
            );
            (Kind::RateLimited, "requests", text)
        }
        Measure::Tokens(rate) => {
            let limit = rate.per_minute();
            let text = format!(
                "Rate limit reached for {owner} on tokens per minute (tpm): limit {limit}.{again}"
            );
            (Kind::RateLimited, "tokens", text)
        }
        Measure::Concurrent(most) => {
            let text = format!(
                "Limit reached for {owner} on requests in flight (concurrent): at most {most} at once. Please try again when one of them has ended."
            );
            (Kind::RateLimited, "requests", text)
        }
        Measure::Budget(budget) => {
            (Kind::QuotaExceeded, "insufficient_quota", used_up(owner, budget, now))
        }
    };
    let mut headers = Vec::with_capacity(6);
    limit_headers(limiters, now, |name, value| headers.push((name, value)));
    let retry_after = wait.filter(|_| kind == Kind::RateLimited);
    Error::new(kind).told(Detail { message, openai_type: Some(openai_type), retry_after, headers })
}

fn used_up(owner: &str, budget: Budget, now: Now) -> String {
    let amount = match budget.amount {
        Amount::Tokens(tokens) => format!("{tokens} tokens"),
        Amount::NanoUsd(nanos) => format!("{} US dollars", usd(nanos)),
    };
    let begins = super::budget::ends_in(budget.per, now.unix)
        .map(|seconds| Date::of((now.unix + seconds) / DAY));
    match (budget.per, begins) {
        (Period::Total, _) | (_, None) => {
            format!(
                "The budget of {owner} is used up: {amount} in total. Ask the operator for more."
            )
        }
        (per, Some(date)) => {
            format!(
                "The budget of {owner} is used up: {amount} per {per}. It begins anew on {date} (UTC)."
            )
        }
    }
}

/// `12.5`, of nanodollars.
pub(super) fn usd(nanos: u64) -> String {
    let (whole, rest) = (nanos / NANO, nanos % NANO);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{rest:09}").trim_end_matches('0').to_owned()
}

/// As `OpenAI` writes it, which is how Go writes durations: `20ms`, `1.5s`, `6m0s`. Rounded up to a millisecond.
fn reset(text: &mut BytesMut, nanos: u64) {
    let millis = nanos.div_ceil(1_000_000);
    if millis < 1_000 {
        number(text, millis);
        return text.extend_from_slice(b"ms");
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    if minutes >= 60 {
        number(text, minutes / 60);
        text.extend_from_slice(b"h");
    }
    if minutes > 0 {
        number(text, minutes % 60);
        text.extend_from_slice(b"m");
    }
    number(text, rest / 1_000);
    let thousandths = rest % 1_000;
    if thousandths > 0 {
        let digit = |of: u64| b'0' + (thousandths / of % 10) as u8;
        let digits = [b'.', digit(100), digit(10), digit(1)];
        let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        text.extend_from_slice(&digits[..4 - zeros]);
    }
    text.extend_from_slice(b"s");
}

/// In decimal digits. Formatting costs several times as much, and this is on the path of each request.
fn number(text: &mut BytesMut, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[at..]);
}

fn reset_text(nanos: u64) -> String {
    let mut text = BytesMut::new();
    reset(&mut text, nanos);
    text.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_openai_writes_them() {
        const MS: u64 = 1_000_000;
        let all = [
            (0, "0ms"),
            (1, "1ms"),
            (20 * MS, "20ms"),
            (1_000 * MS, "1s"),
            (8_640 * MS, "8.64s"),
            (360_000 * MS, "6m0s"),
            (3_600_000 * MS, "1h0m0s"),
        ];
        for (nanos, text) in all {
            assert_eq!(reset_text(nanos), text);
        }
    }

    #[test]
    fn money_is_written_without_needless_digits() {
        assert_eq!(
            [usd(0), usd(NANO), usd(12 * NANO + NANO / 2), usd(60)],
            ["0", "1", "12.5", "0.00000006"]
        );
    }
}
