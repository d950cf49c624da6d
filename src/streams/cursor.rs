//! From where a reader wants to read: an offset in the stream's bytes. Read before any head is sent, and strictly: what
//! was misread would be a hole or a repetition in somebody's answer.

use http::{HeaderMap, HeaderName};

use super::log::Log;
use crate::error::Kind;

/// What `EventSource` sends when it comes back (HTML, section 9.2.4).
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// `EventSource` cannot set headers at first: its cursor may stand in the query, by these names.
const IN_QUERY: [&str; 2] = ["lastEventID", "last_event_id"];
const FROM: &str = "from";
const NOW: &str = "now";

const TWICE: Kind = Kind::BadCursor("The request names more than one offset to read from.");
const NO_NUMBER: Kind = Kind::BadCursor(
    "The offset to read from is not a number: it counts the bytes of the stream that were read, in decimal digits.",
);
const BEYOND: Kind = Kind::BadCursor("The offset to read from lies beyond the end of the stream.");
const INSIDE: Kind = Kind::BadCursor(
    "The offset to read from lies inside an event; only ids of events are offsets of a stream of events. Without \
     accept: text/event-stream any offset is one.",
);

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cursor {
    /// At the beginning, as nobody said anything.
    #[default]
    Beginning,
    /// At an offset.
    Offset(u64),
    /// Behind an event: the reader was there before.
    Event(u64),
    /// At the end of what is there.
    Now,
}

/// Why a reader gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// What it asked for is no offset of the stream.
    Wrong(Kind),
    /// The offset is not held any more; the smallest that is.
    Lost(u64),
}

impl Cursor {
    /// What a request says: the header first, then the query's id, then `from`. An empty one says nothing.
    ///
    /// # Errors
    /// [`Kind::BadCursor`].
    pub fn of(headers: &HeaderMap, query: Option<&str>) -> Result<Self, Kind> {
        let mut lines = headers.get_all(LAST_EVENT_ID).iter();
        if let Some(line) = lines.next() {
            if lines.next().is_some() {
                return Err(TWICE);
            }
            let text = line.to_str().map_err(|_| NO_NUMBER)?;
            if !text.is_empty() {
                return number(text).map(Self::Event);
            }
        }
        let query = query.unwrap_or_default();
        let ids = parameter(query, |name| IN_QUERY.contains(&name))?;
        if let Some(id) = ids.filter(|id| !id.is_empty()) {
            return number(id).map(Self::Event);
        }
        match parameter(query, |name| name == FROM)? {
            None | Some("") => Ok(Self::Beginning),
            Some(NOW) => Ok(Self::Now),
            Some(text) => number(text).map(Self::Offset),
        }
    }

    /// The offset that was asked for, where it was one.
    pub fn offset(self) -> Option<u64> {
        match self {
            Self::Offset(offset) | Self::Event(offset) => Some(offset),
            Self::Beginning | Self::Now => None,
        }
    }

    /// The offset in this log. `by_event`: a reader that takes events, for whom only their ends are offsets.
    ///
    /// # Errors
    /// See [`Denied`].
    pub fn place(self, log: &Log, by_event: bool) -> Result<u64, Denied> {
        let offset = match self {
            Self::Beginning => 0,
            Self::Offset(offset) | Self::Event(offset) => offset,
            Self::Now if by_event => log.last_boundary(),
            Self::Now => log.extent().end,
        };
        // Looked at before the extent: what is dropped in between is told as lost.
        let is_inside = by_event && !log.is_boundary(offset);
        let extent = log.extent();
        if offset > extent.end {
            return Err(Denied::Wrong(BEYOND));
        }
        if offset < extent.start {
            let smallest = if by_event { log.first_boundary() } else { None };
            return Err(Denied::Lost(smallest.unwrap_or(extent.start)));
        }
        if is_inside {
            return Err(Denied::Wrong(INSIDE));
        }
        Ok(offset)
    }
}

/// The value of a parameter, which may be there once.
fn parameter(query: &str, is_named: impl Fn(&str) -> bool) -> Result<Option<&str>, Kind> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut found = pairs.filter(|(name, _)| is_named(name));
    let first = found.next().map(|(_, value)| value);
    if found.next().is_some() { Err(TWICE) } else { Ok(first) }
}

/// Of any length: what no stream can have is beyond its end.
fn number(text: &str) -> Result<u64, Kind> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NO_NUMBER);
    }
    text.parse().map_err(|_too_large| BEYOND)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;

    fn read(header: &[&'static str], query: &str) -> Result<Cursor, Kind> {
        let mut headers = HeaderMap::new();
        for line in header {
            headers.append(LAST_EVENT_ID, http::HeaderValue::from_static(line));
        }
        Cursor::of(&headers, Some(query))
    }

    #[test]
    fn the_header_beats_the_query_and_its_id_beats_from() {
        assert_eq!(read(&["7"], "lastEventID=8&from=9"), Ok(Cursor::Event(7)));
        assert_eq!(read(&[], "from=9&lastEventID=8"), Ok(Cursor::Event(8)));
        assert_eq!(read(&[], "last_event_id=8"), Ok(Cursor::Event(8)));
        assert_eq!(read(&[""], "a=b&from=9"), Ok(Cursor::Offset(9)));
        assert_eq!(read(&[], "from=now"), Ok(Cursor::Now));
        assert_eq!(read(&[], ""), Ok(Cursor::Beginning));
    }

    #[test]
    fn what_is_no_number_or_comes_twice_is_refused() {
        for wrong in ["-1", "+1", "1.0", "0x1", "1 ", " 1", "%31", "earliest", "NOW", "1,2", "١"] {
            assert_eq!(read(&[], &format!("from={wrong}")), Err(NO_NUMBER), "{wrong}");
        }
        assert_eq!(read(&[], "from=99999999999999999999999"), Err(BEYOND));
        assert_eq!(read(&[], "from=1&from=2"), Err(TWICE));
        assert_eq!(read(&[], "lastEventID=1&last_event_id=2"), Err(TWICE));
        assert_eq!(read(&["1", "2"], ""), Err(TWICE));
        assert_eq!(read(&["now"], ""), Err(NO_NUMBER));
    }

    #[test]
    fn an_offset_is_one_of_the_log_and_for_events_the_end_of_one() {
        let log = Log::new(1 << 20, true, Arc::default());
        log.append(b"data: a\n\ndata: b\r\n\r\nda", Instant::now());
        let place = |cursor: Cursor, by_event| cursor.place(&log, by_event);
        for offset in 0..=22 {
            assert_eq!(place(Cursor::Offset(offset), false), Ok(offset));
            let expected = if [0, 9, 19, 20].contains(&offset) {
                Ok(offset)
            } else {
                Err(Denied::Wrong(INSIDE))
            };
            assert_eq!(place(Cursor::Event(offset), true), expected, "{offset}");
        }
        assert_eq!(place(Cursor::Offset(23), false), Err(Denied::Wrong(BEYOND)));
        assert_eq!(place(Cursor::Offset(u64::MAX), true), Err(Denied::Wrong(BEYOND)));
        assert_eq!(place(Cursor::Now, false), Ok(22));
        assert_eq!(place(Cursor::Now, true), Ok(20));
    }

    #[test]
    fn a_lost_offset_is_told_with_the_smallest_that_serves() {
        let log = Log::new(160, true, Arc::default());
        for _ in 0..100 {
            log.append(b"data: abcdef\n\n", Instant::now());
        }
        let start = log.extent().start;
        assert!(start > 0 && log.extent().end - start <= 160);
        assert_eq!(Cursor::Beginning.place(&log, false), Err(Denied::Lost(start)));
        let Err(Denied::Lost(event)) = Cursor::Event(0).place(&log, true) else {
            panic!("it is held")
        };
        assert!(event >= start && event % 14 == 0, "{event}");
        assert_eq!(Cursor::Event(event).place(&log, true), Ok(event));
    }
}
