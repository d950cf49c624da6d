//! From where a subscriber wants events.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::draft::EARLIEST;
use super::id::LONGEST;
use crate::algo::percent;

/// The header in which `EventSource` sends the id of the last event that it saw, and in which we say where an answer
/// begins.
pub static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The same in a query: a page can't set a header of an `EventSource`.
const QUERY: [&str; 3] = ["lastEventID", "last_event_id", "lastEventId"];

/// A place in what a name has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// Behind all that was published.
    Now,
    /// The first event that there still is.
    Earliest,
    /// Behind the event with this id.
    After(Box<str>),
}

/// A cursor that is none: too long, or with control characters; or two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoCursor;

impl Cursor {
    /// Of a subscriber's request. The header counts before the query, since a client that comes back by itself has
    /// both: its first address, and what it saw since.
    ///
    /// # Errors
    /// It is no id that any event can have.
    pub fn of(headers: &HeaderMap, query: Option<&str>) -> Result<Self, NoCursor> {
        let mut lines = headers.get_all(&LAST_EVENT_ID).iter();
        if let Some(line) = lines.next() {
            let text = text(line).filter(|_| lines.next().is_none());
            return Self::parse(text.ok_or(NoCursor)?);
        }
        let pairs = query.unwrap_or_default().split('&');
        let mut values = pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            QUERY.contains(&name).then_some(value)
        });
        match (values.next(), values.next()) {
            (None, _) => Ok(Self::Now),
            (Some(value), None) => Self::parse(&percent::form_decoded(value).ok_or(NoCursor)?),
            (Some(_), Some(_)) => Err(NoCursor),
        }
    }

    /// An empty one is none (WHATWG HTML, section 9.2.6: an empty id resets it).
    fn parse(text: &str) -> Result<Self, NoCursor> {
        match text {
            "" => Ok(Self::Now),
            EARLIEST => Ok(Self::Earliest),
            id if id.len() <= LONGEST && !id.chars().any(char::is_control) => {
                Ok(Self::After(id.into()))
            }
            _ => Err(NoCursor),
        }
    }
}

fn text(line: &HeaderValue) -> Option<&str> {
    // Browsers send it in UTF-8.
    std::str::from_utf8(line.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[&str], query: &str) -> Result<Cursor, NoCursor> {
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(&LAST_EVENT_ID, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Cursor::of(&map, Some(query))
    }

    fn after(id: &str) -> Cursor {
        Cursor::After(id.into())
    }

    #[test]
    fn the_header_counts_before_the_query() {
        assert_eq!(of(&["a"], "lastEventID=b"), Ok(after("a")));
        assert_eq!(of(&[""], "lastEventID=b"), Ok(Cursor::Now));
        assert_eq!(of(&[], "x=1&lastEventID=b"), Ok(after("b")));
        assert_eq!(of(&[], "last_event_id=b%2Fc+d%C3%A9"), Ok(after("b/c dé")));
        assert_eq!(of(&["earliest"], ""), Ok(Cursor::Earliest));
        assert_eq!(of(&[], "lastEventID=earliest"), Ok(Cursor::Earliest));
        assert_eq!(of(&["é"], ""), Ok(after("é")));
        assert_eq!(Cursor::of(&HeaderMap::new(), None), Ok(Cursor::Now));
        assert_eq!(of(&[], "lastEventID"), Ok(Cursor::Now));
    }

    #[test]
    fn what_no_event_can_have_is_refused() {
        let long = "x".repeat(257);
        for headers in [&["a", "b"][..], &["a\tb"], &[&long]] {
            assert_eq!(of(headers, ""), Err(NoCursor), "{headers:?}");
        }
        for query in ["a%0d%0ab", "a%00", "%", "%4", "%zz", "%ff", &long] {
            assert_eq!(of(&[], &format!("lastEventID={query}")), Err(NoCursor), "{query}");
        }
        assert_eq!(of(&[], "lastEventID=a&last_event_id=a"), Err(NoCursor));
    }
}
