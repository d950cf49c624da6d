//! The time that a client gives itself, in a header of its request.

use std::pin::Pin;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};

use crate::error::{Error, Kind};
use crate::record::{Clock, Record};

/// Milliseconds for the whole of a request, from its head's arrival to its answer's end. Goes no
/// further, as all of our prefix: the next hop's clock began later.
const TIMEOUT: HeaderName = HeaderName::from_static("x-firstbyte-timeout-ms");

/// A day: whoever writes more has slipped a unit.
const LONGEST_MS: u64 = 24 * 3600 * 1000;

const BAD: Kind =
    Kind::BadRequest("x-firstbyte-timeout-ms must be a single number from 1 to 86400000.");

/// When the client's time is over; `None` where it says nothing.
///
/// # Errors
/// [`Kind::BadRequest`]: the header is there and is not one whole number within bounds. Ignored
/// instead, a caller that relies on it would wait for the default, which is minutes.
pub(super) fn until(headers: &HeaderMap, opened: Instant) -> Result<Option<Instant>, Error> {
    let mut lines = headers.get_all(TIMEOUT).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let digits = line.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(ms @ 1..=LONGEST_MS) if lines.next().is_none() => {
            Ok(Some(opened + Duration::from_millis(ms)))
        }
        _ => Err(BAD.into()),
    }
}

/// Lets `work` go on until then. By reference, and the timer boxed: moved in here, the largest future of
/// every request would be twice its size, for a header that few send.
pub(super) async fn within<T>(
    until: Option<Instant>,
    work: Pin<&mut impl Future<Output = Result<T, Error>>>,
    record: &Record,
) -> Result<T, Error> {
    let Some(until) = until else { return work.await };
    Box::pin(tokio::time::timeout_at(until.into(), work)).await.unwrap_or_else(|_elapsed| {
        record.timed_out(Clock::Client);
        Err(Kind::ClientDeadline.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(lines: &[&'static str]) -> Result<Option<Duration>, Kind> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(TIMEOUT, HeaderValue::from_static(line));
        }
        let now = Instant::now();
        let until = until(&headers, now).map_err(|error| error.kind())?;
        Ok(until.map(|until| until - now))
    }

    #[test]
    fn a_number_of_milliseconds_is_taken_and_anything_else_refused() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["1500"]), Ok(Some(Duration::from_millis(1500))));
        assert_eq!(of(&["86400000"]), Ok(Some(Duration::from_secs(86_400))));
        for wrong in ["0", "86400001", "1.5", "30s", "-1", "+1", "", "99999999999999999999"] {
            assert_eq!(of(&[wrong]), Err(BAD), "{wrong:?}");
        }
        assert_eq!(of(&["1", "1"]), Err(BAD));
    }
}
