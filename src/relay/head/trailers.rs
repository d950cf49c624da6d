//! Trailers on their way through, either way.

use http::header::{HeaderMap, HeaderName};

use super::clean_hop_by_hop;
use super::underscore::Withheld;
use crate::upstream::Marks;

/// Takes out what no trailer may say (RFC 9110, section 6.5.1): a reader that merges trailers into the
/// head would take it for what frames, routes, authenticates or describes the message, after all of that
/// was decided. Our key and our Host would have a rival that came in behind them.
pub(crate) fn clean_trailers(lines: &mut HeaderMap) {
    clean_hop_by_hop(lines);
    let may_not =
        |name: &&HeaderName| !may_trail(name.as_str()) || Marks::of(name).any(Marks::CREDENTIAL);
    let gone: Vec<_> = lines.keys().filter(may_not).cloned().collect();
    for name in gone {
        lines.remove(name);
    }
}

/// The same toward an upstream, where names with underscores go too.
pub(crate) fn clean_request_trailers(lines: &mut HeaderMap) -> Withheld {
    let before = lines.len();
    let has_underscore = |name: &&HeaderName| Marks::of(name).any(Marks::UNDERSCORE);
    let gone: Vec<_> = lines.keys().filter(has_underscore).cloned().collect();
    for name in gone {
        lines.remove(name);
    }
    let withheld = Withheld((before - lines.len()) as u64);
    clean_trailers(lines);
    withheld
}

fn may_trail(name: &str) -> bool {
    !matches!(
        name,
        "authorization"
            | "cache-control"
            | "expect"
            | "forwarded"
            | "host"
            | "location"
            | "max-forwards"
            | "openai-organization"
            | "openai-project"
            | "range"
            | "retry-after"
            | "set-cookie"
            | "via"
            | "www-authenticate"
    ) && !["content-", "if-", "x-forwarded-", "x-firstbyte-"].iter().any(|it| name.starts_with(it))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_a_head_alone_may_say_is_gone_and_the_rest_stays() {
        let mut lines = HeaderMap::new();
        for name in [
            "authorization",
            "connection",
            "content-length",
            "content-type",
            "host",
            "if-match",
            "openai-organization",
            "set-cookie",
            "te",
            "trailer",
            "transfer-encoding",
            "x-firstbyte-request-id",
            "x-forwarded-for",
            "x-api-key",
            "cookie",
            "x-named",
        ] {
            lines.insert(name, HeaderValue::from_static("x-named"));
        }
        for value in ["1", "2"] {
            lines.append("x-sum", HeaderValue::from_static(value));
        }
        lines.append("server-timing", HeaderValue::from_static("db;dur=1"));
        clean_trailers(&mut lines);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let mut kept: Vec<_> =
            lines.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        kept.sort_unstable();
        let expected = [("server-timing", "db;dur=1"), ("x-sum", "1"), ("x-sum", "2")];
        assert_eq!(kept, expected.map(|(name, value)| (name, value.to_owned())));
    }
    #[test]
    fn toward_an_upstream_names_with_underscores_are_gone_and_counted() {
        let mut lines = HeaderMap::new();
        for (name, value) in [
            ("content_length", "5"),
            ("x_sum", "1"),
            ("x_sum", "2"),
            ("x-sum", "3"),
            ("connection", "x-named"),
            ("x-named", "1"),
        ] {
            lines.append(name, HeaderValue::from_static(value));
        }
        assert_eq!(clean_request_trailers(&mut lines), Withheld(3));
        assert_eq!(lines.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x-sum"]);
    }
}
