//! The path that is asked of the upstream, by nginx's `proxy_pass` rule.

use http::Method;
use http::uri::{PathAndQuery, Uri};

use crate::error::{Error, Kind};
use crate::proto::http1::RawTarget;

const NO_PATH: Kind = Kind::BadRequest("The request target has no path.");
const ASTERISK: Kind = Kind::BadRequest("The target \"*\" is valid only with OPTIONS.");
const TOO_LONG: Kind = Kind::BadRequest("The request target is too long.");

/// Client's target → upstream's path and query.
///
/// A base path replaces the route's `prefix`; an empty one, or one that equals it, leaves the path
/// as it came, without a copy. The query stays byte for byte, unless it is `changed` to another. A scheme and an authority that the
/// client named (absolute form) are not looked at.
pub(super) fn rewrite(
    method: &Method,
    uri: Uri,
    prefix: &str,
    base: &str,
    changed: Option<&str>,
) -> Result<PathAndQuery, Error> {
    let asked = uri.into_parts().path_and_query.ok_or(NO_PATH)?;
    if asked.path() == "*" {
        return if method == Method::OPTIONS { Ok(asked) } else { Err(ASTERISK.into()) };
    }
    let as_it_came = base.is_empty() || base == prefix;
    if as_it_came && changed.is_none() && asked.as_str().starts_with('/') {
        return Ok(asked);
    }
    let (prefix, base) = if as_it_came { ("", "") } else { (prefix, base) };
    let rest = asked.path().strip_prefix(prefix).filter(|rest| begins_segment(rest));
    // The router matched this prefix on this path; if not, the fault is ours.
    let rest = rest.ok_or(Kind::Internal)?;
    let query = match changed {
        Some(changed) => Some(changed).filter(|query| !query.is_empty()),
        None => asked.query(),
    };
    join(base, rest, query)
}

/// The same of a target as it came, which has what the URI has in other spellings. `None` where that cannot be told:
/// then the URI's spelling is sent.
pub(super) fn rewrite_raw(raw: RawTarget, prefix: &str, base: &str) -> Option<RawTarget> {
    if base.is_empty() || base == prefix {
        return Some(raw);
    }
    let rest = raw.as_bytes().strip_prefix(prefix.as_bytes())?;
    let begins = rest.first().is_none_or(|first| b"/?".contains(first));
    begins.then(|| RawTarget::new([base.as_bytes(), rest].concat()))
}

fn begins_segment(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

fn join(base: &str, rest: &str, query: Option<&str>) -> Result<PathAndQuery, Error> {
    let room = base.len() + rest.len() + query.map_or(0, |query| query.len() + 1);
    let mut target = String::with_capacity(room);
    target.push_str(base);
    target.push_str(rest);
    if let Some(query) = query {
        target.push('?');
        target.push_str(query);
    }
    PathAndQuery::try_from(target).map_err(|error| Error::with(TOO_LONG, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(target: &str, prefix: &str, base: &str) -> String {
        let uri = target.parse().unwrap();
        rewrite(&Method::POST, uri, prefix, base, None).unwrap().as_str().to_owned()
    }

    #[test]
    fn a_base_path_replaces_the_prefix() {
        for (target, prefix, base, expected) in [
            ("/v1/chat/completions", "/v1", "/v1", "/v1/chat/completions"),
            ("/v1/models?limit=2", "/v1", "/openai/v1", "/openai/v1/models?limit=2"),
            ("/v1", "/v1", "/api", "/api"),
            ("/v1?a", "/v1", "/api", "/api?a"),
            ("/v1/", "/v1", "/api", "/api/"),
            ("/v1/v1", "/v1", "/api", "/api/v1"),
            ("/models", "", "/v1", "/v1/models"),
            ("/", "", "/v1", "/v1/"),
            ("/azure//x/./y", "/azure", "/v1", "/v1//x/./y"),
        ] {
            assert_eq!(rewritten(target, prefix, base), expected, "{target} {prefix} {base}");
        }
    }

    #[test]
    fn an_empty_base_path_leaves_the_path() {
        for target in ["/v1/models", "/v1?", "/v1/%2e%7E?q=%20&q==?&", "/v1//a/"] {
            assert_eq!(rewritten(target, "/v1", ""), target);
        }
    }

    #[test]
    fn a_path_that_stays_is_not_copied() {
        let uri = Uri::from_static("/v1/models?q");
        let before = uri.path().as_ptr();
        let after = rewrite(&Method::GET, uri, "/v1", "/v1", None).unwrap();
        assert_eq!(after.path().as_ptr(), before);
    }

    #[test]
    fn the_query_is_kept_byte_for_byte() {
        for query in ["", "a=1&a=1", "%zz", "/?/?", "q=\u{e9}", "a+b%20c"] {
            let target = format!("/v1/x?{query}");
            assert_eq!(rewritten(&target, "/v1", "/b"), format!("/b/x?{query}"));
        }
    }

    #[test]
    fn a_target_as_it_came_is_rewritten_as_its_uri_is() {
        for (target, prefix, base, expected) in [
            ("/v1/<a>?\"", "/v1", "", Some("/v1/<a>?\"")),
            ("/v1/<a>?\"", "/v1", "/v1", Some("/v1/<a>?\"")),
            ("/v1/<a>?\"", "/v1", "/openai/v1", Some("/openai/v1/<a>?\"")),
            ("/v1?`", "/v1", "/b", Some("/b?`")),
            ("/<a>", "", "/b", Some("/b/<a>")),
            ("/v<1>/a", "/v%3C1%3E", "/b", None),
            ("/v1<", "/v1", "/b", None),
        ] {
            let raw = rewrite_raw(RawTarget::new(target), prefix, base);
            assert_eq!(raw, expected.map(RawTarget::new), "{target} {prefix} {base}");
        }
    }

    #[test]
    fn an_authority_in_the_target_is_not_looked_at() {
        assert_eq!(rewritten("http://evil.example/v1/models?q", "/v1", "/v1"), "/v1/models?q");
        assert_eq!(rewritten("http://evil.example?q", "", ""), "/?q");
        assert_eq!(rewritten("http://evil.example", "", "/v1"), "/v1/");
    }

    #[test]
    fn a_target_without_a_path_is_refused() {
        let uri = Uri::from_static("evil.example:443");
        let error = rewrite(&Method::GET, uri, "", "", None).unwrap_err();
        assert_eq!(error.kind(), NO_PATH);
    }

    #[test]
    fn the_asterisk_is_for_options_only() {
        let asked = |method| rewrite(&method, Uri::from_static("*"), "", "/v1", None);
        assert_eq!(asked(Method::OPTIONS).unwrap(), "*");
        assert_eq!(asked(Method::GET).unwrap_err().kind(), ASTERISK);
    }

    #[test]
    fn a_path_outside_the_prefix_is_our_fault() {
        for path in ["/v1beta/x", "/v2"] {
            let error =
                rewrite(&Method::GET, path.parse().unwrap(), "/v1", "/b", None).unwrap_err();
            assert_eq!(error.kind(), Kind::Internal);
        }
    }
}
