//! The `date` of answers that come without one (RFC 9110, section 6.6.1), made once a second.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

struct Cached {
    second: u64,
    text: String,
}

thread_local! {
    static CACHED: RefCell<Cached> = const { RefCell::new(Cached { second: 0, text: String::new() }) };
}

/// Appends `now` as an IMF-fixdate, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn append(now: SystemTime, out: &mut Vec<u8>) {
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    CACHED.with_borrow_mut(|cached| {
        if cached.second != second || cached.text.is_empty() {
            *cached = Cached { second, text: httpdate::fmt_http_date(now) };
        }
        out.extend_from_slice(cached.text.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_date_is_that_of_its_second() {
        let text = |seconds| {
            let mut out = Vec::new();
            append(UNIX_EPOCH + Duration::from_secs(seconds), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(text(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(text(784_111_778), "Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(text(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
