//! `clients[].expires`: a day or a moment in UTC.

use serde_json::{Value, json};

use crate::algo::calendar::{DAY, Date};
use crate::config::file::fault::Complaint;
use crate::config::kind::{Around, Kind};

/// `2026-12-31` or `2026-12-31T18:00:00Z`, as Unix time in seconds. A day is over at its end.
pub(super) struct Expiry;

impl Kind for Expiry {
    type Value = Option<u64>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<u64>, Complaint> {
        let seconds = match text.split_once('T') {
            None => Date::parse(text).map(|date| (date.days() + 1) * DAY),
            Some((day, time)) => Date::parse(day)
                .zip(time.strip_suffix('Z').and_then(of_day))
                .map(|(date, second)| date.days() * DAY + second),
        };
        seconds.map(Some).ok_or_else(|| {
            let hint = "write it like 2026-12-31 or 2026-12-31T18:00:00Z (UTC)";
            Complaint::new("is not a day", hint)
        })
    }

    fn absent(&self) -> Option<u64> {
        None
    }

    fn name(&self) -> String {
        "day, or day and time, in UTC".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        let pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$|\\$\\{";
        json!({ "type": "string", "pattern": pattern })
    }
}

/// Seconds since midnight of `18:00:00`.
fn of_day(time: &str) -> Option<u64> {
    let mut parts = time.split(':').map(|part| {
        let fits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        if fits { part.parse::<u64>().ok() } else { None }
    });
    let mut next = |most: u64| parts.next()?.filter(|part| *part <= most);
    let (hour, minute, second) = (next(23)?, next(59)?, next(59)?);
    parts.next().is_none().then_some(hour * 3_600 + minute * 60 + second)
}
