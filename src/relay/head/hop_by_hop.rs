//! What concerns one connection only and must not be forwarded (RFC 9110, section 7.6.1).

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, UPGRADE};

use crate::upstream::{HeadScan, Marks};

/// Removes every hop-by-hop field, and every field that any `Connection` line names.
///
/// Two exceptions. `content-length` stays though named: it is for all recipients, so that a sender
/// must not name it, and without it a cut body could pass for a whole one. A `TE` that accepts
/// trailers becomes exactly `te: trailers`, as HTTP/2 allows (RFC 9113, section 8.2.2).
///
/// What is no field name (quoted strings, obs-text, empty list members) names nothing. Our own
/// fields must be put in after this, or a client could name them away.
pub fn clean_hop_by_hop(headers: &mut HeaderMap) {
    let marks = HeadScan::of(headers).marks;
    clean_marked(headers, marks);
}

/// The same where it is known which kinds of names there are.
pub(super) fn clean_marked(headers: &mut HeaderMap, marks: Marks) {
    let found = marked(headers, marks, Marks::HOP_BY_HOP);
    let trailers = !found.is_empty() && accepts_trailers(headers);
    if marks.any(Marks::CONNECTION) {
        remove_named(headers);
    }
    for name in found {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// The names of some kinds. `marks` are those of all that was there: nearly always there is none.
pub(super) fn marked(headers: &HeaderMap, marks: Marks, kinds: Marks) -> Vec<HeaderName> {
    if !marks.any(kinds) {
        return Vec::new();
    }
    headers.keys().filter(|name| Marks::of(name).any(kinds)).cloned().collect()
}

/// Trailers may follow the body: the client names them (RFC 9110, section 6.6.2), or knows of them.
pub(crate) fn speaks_of_trailers(headers: &HeaderMap) -> bool {
    headers.contains_key(TRAILER) || headers.contains_key(TE) && accepts_trailers(headers)
}

/// The client wants to go on as a WebSocket (RFC 6455, section 4.1). Any other protocol that it would rather speak
/// may be left unspoken (RFC 9110, section 7.8), and it asks in HTTP all the same.
pub(crate) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let names = |name, wanted: &[u8]| {
        headers.get_all(name).iter().flat_map(members).any(|it| it.eq_ignore_ascii_case(wanted))
    };
    names(UPGRADE, b"websocket") && names(CONNECTION, b"upgrade")
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    let is_trailers = |member: &[u8]| member.eq_ignore_ascii_case(b"trailers");
    headers.get_all(TE).iter().any(|line| members(line).any(is_trailers))
}

/// `HeaderMap::remove` would return the first line only, so all lines are taken out before any name
/// is acted on. The usual single line costs no allocation.
fn remove_named(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(CONNECTION).iter().cloned();
    let Some(first) = lines.next() else { return };
    let more: Vec<HeaderValue> = lines.collect();
    headers.remove(CONNECTION);
    for line in std::iter::once(&first).chain(&more) {
        for name in members(line).filter_map(|member| std::str::from_utf8(member).ok()) {
            if !stays(name) {
                headers.remove(name);
            }
        }
    }
}

/// Connection options that are no fields, spared a look-up since nearly every request has one; and
/// the one field that may not be named.
fn stays(name: &str) -> bool {
    ["keep-alive", "close", "content-length"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The members of a comma-separated list, without the white space around them.
fn members(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(*name, value);
        }
        headers
    }

    fn cleaned(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = map(lines);
        clean_hop_by_hop(&mut headers);
        headers
    }

    #[test]
    fn every_connection_line_counts_in_every_spelling() {
        for lines in [
            &[("connection", "x-a, x-b")][..],
            &[("connection", "X-A,X-B")],
            &[("connection", " \tx-a \t,\t x-b ")],
            &[("connection", "x-a"), ("connection", "x-b")],
            &[("connection", "close"), ("connection", ",, ,x-b,"), ("connection", "x-a")],
            &[("connection", "\"x-a, b\", \u{e9}, @, x-a, keep-alive, x-b")],
        ] {
            let mut all = lines.to_vec();
            all.extend([("x-a", "1"), ("x-b", "2"), ("x-a", "3"), ("x-c", "4")]);
            assert_eq!(cleaned(&all), map(&[("x-c", "4")]), "{lines:?}");
        }
    }

    #[test]
    fn two_hundred_names_are_all_obeyed() {
        let names: Vec<String> = (0..200).map(|n| format!("x-name-{n}")).collect();
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, names.join(",").try_into().unwrap());
        for name in &names {
            headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_static("v"));
        }
        clean_hop_by_hop(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn the_standing_list_goes_without_being_named() {
        assert!(
            cleaned(&[
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "keep-alive"),
                ("proxy-authenticate", "Basic"),
                ("proxy-authorization", "Basic eA=="),
                ("te", "gzip"),
                ("trailer", "x-sum"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "websocket"),
                ("http2-settings", "AAMAAABk"),
            ])
            .is_empty()
        );
    }

    #[test]
    fn trailers_are_all_that_is_left_of_te_even_if_named() {
        let kept = map(&[("te", "trailers")]);
        assert_eq!(cleaned(&[("te", "gzip;q=0.5, Trailers")]), kept);
        assert_eq!(cleaned(&[("te", "gzip"), ("te", "trailers"), ("connection", "te")]), kept);
        assert!(cleaned(&[("te", "trailersx, trailers;q=1")]).is_empty());
    }

    #[test]
    fn a_websocket_is_asked_for_by_both_of_its_lines() {
        for (lines, asks) in [
            (&[("upgrade", "websocket"), ("connection", "Upgrade")][..], true),
            (&[("upgrade", "h2c, WebSocket"), ("connection", "keep-alive, upgrade")], true),
            (&[("upgrade", "websocket")], false),
            (&[("upgrade", "h2c"), ("connection", "upgrade, http2-settings")], false),
            (&[("connection", "upgrade")], false),
        ] {
            assert_eq!(asks_for_websocket(&map(lines)), asks, "{lines:?}");
        }
    }

    #[test]
    fn a_length_cannot_be_named_away() {
        let headers = cleaned(&[("connection", "Content-Length"), ("content-length", "5")]);
        assert_eq!(headers, map(&[("content-length", "5")]));
    }

    #[test]
    fn a_name_that_is_quoted_names_nothing() {
        let headers = cleaned(&[("connection", "\"x-a\""), ("x-a", "1")]);
        assert_eq!(headers, map(&[("x-a", "1")]));
    }
}
