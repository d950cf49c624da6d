//! `location` (RFC 9110, section 10.2.2) of an answer, as the client can follow it.
//!
//! An upstream names itself by the address by which we ask it. The client reaches that place by a path of its
//! own: the reverse of what [`target`](super::target) does. It is written as a path, which leads to whatever
//! host and scheme the client asked: only the client is sure to know them.

use crate::config::{Scheme, Upstream};

/// A way from the client to an upstream.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    /// The route's path without a trailing slash.
    pub prefix: &'a str,
    /// Where it leads.
    pub upstream: &'a Upstream,
}

/// A location taken apart: the address that it names, if it does, and what comes after.
#[derive(Debug, Clone, Copy)]
struct Named<'a> {
    address: Option<Address<'a>>,
    /// From the path's `/` on: path, query and fragment. May be empty.
    rest: &'a str,
}

#[derive(Debug, Clone, Copy)]
struct Address<'a> {
    /// In brackets where it is an IPv6 address.
    host: &'a str,
    /// `None`: the scheme's own, whichever scheme that is.
    port: Option<u16>,
}

/// The client's way to where `location` leads; `None` where it is to stay as it is. `from` is the way by which the
/// answer came, `others` are tried in turn where an address of another upstream is named.
pub fn toward_client<'a>(
    location: &str,
    from: Way<'a>,
    mut others: impl Iterator<Item = Way<'a>>,
) -> Option<String> {
    let named = Named::of(location)?;
    let Some(address) = named.address else {
        // It is the upstream's own path, and the client's too unless one was put in place of the other.
        let same = from.upstream.base_path.is_empty() || from.upstream.base_path == from.prefix;
        return if same { None } else { from.path_of(named.rest) };
    };
    let own = address.is_of(from.upstream).then(|| from.path_of(named.rest)).flatten();
    own.or_else(|| {
        others
            .find_map(|way| address.is_of(way.upstream).then(|| way.path_of(named.rest)).flatten())
    })
}

impl<'a> Named<'a> {
    /// `None` for what is relative to the request's path, or leads to what is not HTTP.
    fn of(location: &'a str) -> Option<Self> {
        let after = match location.split_once("//") {
            Some(("", after)) => after,
            Some((scheme, after)) if is_http(scheme) => after,
            _ if location.starts_with('/') => return Some(Self { address: None, rest: location }),
            _ => return None,
        };
        let (authority, rest) =
            after.split_at(after.find(['/', '?', '#', '\\']).unwrap_or(after.len()));
        let authority =
            authority.rsplit_once('@').map_or(authority, |(_user, authority)| authority);
        Some(Self { address: Some(Address::of(authority)?), rest })
    }
}

fn is_http(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http:") || scheme.eq_ignore_ascii_case("https:")
}

impl<'a> Address<'a> {
    fn of(authority: &'a str) -> Option<Self> {
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (authority, ""),
        };
        let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
        Some(Self { host, port })
    }

    /// Either scheme: one that knows nothing of the TLS before it calls itself `http`, and whoever followed that
    /// would send a key in clear.
    fn is_of(self, upstream: &Upstream) -> bool {
        let usual = match upstream.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let is_at = |host: &str, port: u16| {
            bare(self.host).eq_ignore_ascii_case(host) && self.port.unwrap_or(usual) == port
        };
        // What it is told to be called it may call itself.
        let called = upstream.host_header.as_deref().and_then(Address::of);
        is_at(&upstream.host, upstream.port)
            || called.is_some_and(|it| is_at(bare(it.host), it.port.unwrap_or(usual)))
    }
}

/// Without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

impl Way<'_> {
    /// The client's path to an upstream's; `None` where no path of the client's leads there.
    fn path_of(self, rest: &str) -> Option<String> {
        let Self { prefix, upstream } = self;
        let (path, after) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        let base = if upstream.base_path.is_empty() { prefix } else { &upstream.base_path };
        let below = path.strip_prefix(base)?;
        if !(below.is_empty() || below.starts_with('/')) {
            return None;
        }
        let root = if prefix.is_empty() && below.is_empty() { "/" } else { "" };
        let path = format!("{prefix}{below}{root}{after}");
        // Two slashes would be read as the name of another host.
        let leads_away = path.get(1..).is_some_and(|rest| rest.starts_with(['/', '\\']));
        if leads_away { None } else { Some(path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::head::request::tests::upstream;

    fn at(host: &str, port: u16, base_path: &str) -> Upstream {
        let (host, base_path) = (host.to_owned(), base_path.to_owned());
        Upstream { scheme: Scheme::Http, host, port, base_path, ..upstream() }
    }

    fn rewritten(location: &str, prefix: &str, upstream: &Upstream) -> Option<String> {
        toward_client(location, Way { prefix, upstream }, std::iter::empty())
    }

    #[test]
    fn an_address_of_the_upstream_becomes_the_routes_path() {
        let openai = at("api.test", 80, "/openai/v1");
        for (location, expected) in [
            ("http://api.test/openai/v1/models/", Some("/v1/models/")),
            ("http://API.test:80/openai/v1/models?a=/x#b", Some("/v1/models?a=/x#b")),
            ("HTTPS://user:secret@api.test/openai/v1", Some("/v1")),
            ("//api.test/openai/v1?x", Some("/v1?x")),
            ("/openai/v1/models", Some("/v1/models")),
            ("http://api.test/login", None),
            ("http://api.test/openai/v1beta", None),
            ("http://api.test", None),
            ("http://api.test:81/openai/v1/models", None),
            ("http://api.test:x/openai/v1/models", None),
            ("http://api.test.evil/openai/v1", None),
            ("http://elsewhere.test/openai/v1/models", None),
            ("ftp://api.test/openai/v1", None),
            ("models/", None),
            ("?page=2", None),
            ("", None),
            ("/elsewhere", None),
        ] {
            assert_eq!(rewritten(location, "/v1", &openai).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn the_name_by_which_it_is_asked_is_the_upstreams_too() {
        let called =
            Upstream { host_header: Some("api.test:81".into()), ..at("10.0.0.5", 8000, "/v1") };
        for own in ["http://api.test:81/v1/x", "https://10.0.0.5:8000/v1/x"] {
            assert_eq!(rewritten(own, "/v1", &called).as_deref(), Some("/v1/x"), "{own}");
        }
        assert_eq!(rewritten("http://api.test/v1/x", "/v1", &called), None);
    }

    #[test]
    fn a_path_that_is_the_clients_too_stays() {
        for base in ["", "/v1"] {
            let local = at("::1", 8000, base);
            assert_eq!(rewritten("/v1/models/", "/v1", &local), None);
            let absolute = rewritten("http://[::1]:8000/v1/models/", "/v1", &local);
            assert_eq!(absolute.as_deref(), Some("/v1/models/"));
            assert_eq!(rewritten("http://[::1]/v1/models/", "/v1", &local), None);
        }
        let root = at("a", 80, "/v1");
        assert_eq!(rewritten("http://a/v1", "", &root).as_deref(), Some("/"));
        assert_eq!(rewritten("http://a/v1?x", "", &root).as_deref(), Some("/?x"));
    }

    #[test]
    fn no_path_of_the_upstreams_leads_the_client_to_another_host() {
        let root = at("a", 80, "");
        for location in ["http://a//evil.test/x", "http://a/\\evil.test", "http://a\\evil.test"] {
            assert_eq!(rewritten(location, "", &root), None, "{location}");
        }
        let below = at("a", 80, "/v1");
        assert_eq!(rewritten("http://a/v1//evil.test", "", &below), None);
        assert_eq!(rewritten("http://a/v1//x", "/v1", &below).as_deref(), Some("/v1//x"));
    }

    #[test]
    fn an_address_of_another_upstream_becomes_the_path_of_a_route_that_leads_there() {
        let (one, two) = (at("one", 80, "/v1"), at("two", 80, "/v1"));
        let from = Way { prefix: "/v1", upstream: &one };
        let others = [
            Way { prefix: "/files", upstream: &at("two", 80, "/files") },
            Way { prefix: "/two/v1", upstream: &two },
        ];
        let followed = toward_client("http://two/v1/x", from, others.into_iter());
        assert_eq!(followed.as_deref(), Some("/two/v1/x"));
        assert_eq!(toward_client("http://two/v1/x", from, [].into_iter()), None);
    }
}
