//! Web pages: which of them may use the proxy, and what their browsers have to be told.
//!
//! A browser lets any page send requests to any address that it reaches, this machine's own among them, and
//! the proxy would pay for them with its key. It also says whose page asks, in fields that a page cannot
//! set: `Origin` (RFC 6454, section 7) and `Sec-Fetch-Site`. Programs send neither, and are not concerned. A
//! page whose name was made to lead here (DNS rebinding) shows itself by its `Host` alone, so that a
//! listener on loopback is asked by a loopback name only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderMap, HeaderName,
    HeaderValue, ORIGIN, VARY,
};
use http::{Method, Uri};

use crate::config::{Allowed, Cors};
use crate::error::Kind;

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// What a preflight is answered: the proxy forwards all of them.
const METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
/// In seconds: an origin that is taken out of the configuration is out after this.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const TRUE: HeaderValue = HeaderValue::from_static("true");
/// Asked and answered where a page of the public network calls into a private one (Private Network Access).
const ASKS_PRIVATE: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOWS_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");
const PREFLIGHT_VARIES: HeaderValue = HeaderValue::from_static(
    "origin, access-control-request-method, access-control-request-headers",
);

/// A page of another origin that may use the proxy. Its browser shows it an answer only where that says
/// so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<'a> {
    /// What `access-control-allow-origin` is to say: the page's origin, or `*`.
    allowed: HeaderValue,
    /// What the route says of pages, if it does.
    cors: Option<&'a Cors>,
}

/// Whose pages may ask.
#[derive(Debug, Clone, Copy)]
pub struct Origins<'a> {
    /// Where the route says nothing.
    pub allowed: &'a Allowed,
    /// What the route says.
    pub cors: Option<&'a Cors>,
}

impl<'a> Origins<'a> {
    /// Whether pages of this origin may.
    pub fn let_in(self, origin: &HeaderValue) -> bool {
        let listed = self.listed();
        listed.any || listed.names.iter().any(|name| name.as_bytes() == origin.as_bytes())
    }

    fn listed(self) -> &'a Allowed {
        self.cors.map_or(self.allowed, |cors| &cors.origins)
    }
}

/// How a request came.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Perhaps with a field that browsers set: `origin` or `sec-fetch-site`.
    pub by_browser: bool,
    /// By a listener on loopback that takes HTTP in clear: a browser on this machine reaches it, whatever name
    /// led there.
    pub on_loopback: bool,
}

/// Who asks: a page of another origin that may, or (`None`) a program or our own origin.
///
/// # Errors
/// [`Kind::ForeignHost`], [`Kind::ForeignOrigin`].
pub fn page<'a>(
    uri: &Uri,
    headers: &HeaderMap,
    asked: Asked,
    origins: Origins<'a>,
    hosts: &Allowed,
) -> Result<Option<Page<'a>>, Kind> {
    if asked.on_loopback && !hosts.any && !is_for_us(uri, headers, hosts) {
        return Err(Kind::ForeignHost);
    }
    if !asked.by_browser {
        return Ok(None);
    }
    let (origin, site) = (headers.get(ORIGIN), headers.get(SITE));
    let any = origins.listed().any;
    if let Some(origin) = origin {
        if origins.let_in(origin) {
            let allowed = if any { ANY } else { origin.clone() };
            return Ok(Some(Page { allowed, cors: origins.cors }));
        }
        if !is_own(origin.as_bytes(), uri, headers) {
            return Err(Kind::ForeignOrigin);
        }
    }
    // Without an `Origin` browsers send what shows them nothing of the answer: images, links, scripts.
    let foreign = site.is_some_and(|site| matches!(site.as_bytes(), b"cross-site" | b"same-site"));
    if foreign && !any { Err(Kind::ForeignOrigin) } else { Ok(None) }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// All that names a host names one of ours. HTTP/1.0 need not name any; no browser speaks it.
fn is_for_us(uri: &Uri, headers: &HeaderMap, hosts: &Allowed) -> bool {
    let ours = |authority: &[u8]| {
        let (host, _) = host_and_port(authority);
        is_loopback_name(host)
            || hosts.names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(host))
    };
    uri.authority().is_none_or(|authority| ours(authority.as_str().as_bytes()))
        && headers.get_all(HOST).iter().all(|host| ours(host.as_bytes()))
}

/// Whether an origin is the one that the request was sent to. Which scheme that was is not known here: TLS
/// may have ended before us. Without a port it is the scheme's own.
fn is_own(origin: &[u8], uri: &Uri, headers: &HeaderMap) -> bool {
    let (usual, authority) = match (origin.strip_prefix(b"http://"), origin) {
        (Some(authority), _) => (&b"80"[..], authority),
        (None, origin) => match origin.strip_prefix(b"https://") {
            Some(authority) => (&b"443"[..], authority),
            None => return false, // `null`, a file, an extension
        },
    };
    let to = match uri.authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => headers.get(HOST).map_or(&b""[..], HeaderValue::as_bytes),
    };
    let ((host, port), (to_host, to_port)) = (host_and_port(authority), host_and_port(to));
    !host.is_empty()
        && host.eq_ignore_ascii_case(to_host)
        && port.unwrap_or(usual) == to_port.unwrap_or(usual)
}

/// `host[:port]`; an IPv6 address keeps its brackets.
fn host_and_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let colon = authority.iter().rposition(|byte| *byte == b':');
    match colon.and_then(|at| Some((authority.get(..at)?, authority.get(at + 1..)?))) {
        Some((host, port)) if !port.contains(&b']') => (host, Some(port).filter(|p| !p.is_empty())),
        _ => (authority, None),
    }
}

/// `localhost`, what is below it (RFC 6761, section 6.3), and loopback addresses.
fn is_loopback_name(host: &[u8]) -> bool {
    // As nearly every client has it.
    if matches!(host, b"127.0.0.1" | b"localhost") {
        return true;
    }
    let Ok(host) = std::str::from_utf8(host) else { return false };
    if let Some(inside) = host.strip_prefix('[') {
        let address = inside.strip_suffix(']').and_then(|text| text.parse::<Ipv6Addr>().ok());
        return address.is_some_and(|address| is_loopback(address.into()));
    }
    if host.starts_with("127.") {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let below = host.len().checked_sub("localhost".len()).and_then(|at| host.split_at_checked(at));
    below.is_some_and(|(below, localhost)| {
        localhost.eq_ignore_ascii_case("localhost") && (below.is_empty() || below.ends_with('.'))
    })
}

impl Page<'_> {
    /// Whether the browser asks before it sends the page's request (Fetch, section 4.8).
    pub fn asks_first(method: &Method, headers: &HeaderMap) -> bool {
        *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// The headers that answer so: `asked` are those of the question.
    pub fn may_send(&self, asked: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.allowed.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        let configured = self.cors.map_or(&[][..], |cors| &cors.headers);
        let names = if configured.is_empty() {
            // All that are named: `*` would leave `authorization` out.
            asked.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned()
        } else {
            HeaderValue::try_from(configured.join(", ")).ok() // names of headers, which fit in one
        };
        if let Some(names) = names {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        if self.with_credentials() {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
        if asked.contains_key(ASKS_PRIVATE) {
            headers.insert(ALLOWS_PRIVATE, TRUE);
        }
        let max_age = self.cors.map_or(MAX_AGE, |cors| cors.max_age.as_secs().into());
        headers.insert(ACCESS_CONTROL_MAX_AGE, max_age);
        headers.insert(VARY, PREFLIGHT_VARIES);
        headers
    }

    /// Lets the page see an answer. What a route says of pages takes the place of all that the upstream says.
    /// Otherwise that stays where it lets this page in as well; where it does not the operator's word counts,
    /// and two words would be none.
    pub fn may_see(&self, answer: &mut HeaderMap) {
        let mut said = answer.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter();
        let lets_in = match (said.next(), said.next()) {
            (Some(said), None) if self.cors.is_none() => *said == ANY || *said == self.allowed,
            _ => false,
        };
        if !lets_in {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.allowed.clone());
        }
        if self.cors.is_some() {
            answer.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
            answer.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        }
        if self.with_credentials() {
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
            // For such a request `*` is the name of a header (Fetch, section 3.2.4): all of them are named.
            let names: Vec<_> = answer.keys().map(HeaderName::as_str).collect();
            if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
                answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names);
            }
        } else {
            answer.entry(ACCESS_CONTROL_EXPOSE_HEADERS).or_insert(ANY);
        }
        if self.allowed != ANY {
            answer.append(VARY, HeaderValue::from_static("origin"));
        }
    }

    fn with_credentials(&self) -> bool {
        self.cors.is_some_and(|cors| cors.credentials)
    }
}

#[cfg(test)]
mod tests;
