//! The request's head toward one upstream.

mod ambiguity;
mod credentials;
mod query;

use std::fmt;

use http::header::{ACCEPT_ENCODING, COOKIE, HOST, HeaderMap, HeaderValue, TE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Extensions, Method, Request, Version};

use self::ambiguity::refuse_ambiguity;
use self::credentials::{Credentials, hide};
use self::query::Query;
use super::underscore::Withheld;
use super::{add_via, clean_marked, marked, target};
use crate::config;
use crate::error::{Error, Kind};
use crate::upstream::{HeadScan, HeadSize, Marks};

/// What a client may not say: who forwarded the request, and anything under our own prefix. Its
/// `expect` was answered on its own connection.
const UNTRUSTED: Marks = Marks::EXPECT.and(Marks::FORWARDED).and(Marks::OURS);

/// Everything of a request's head that only configuration decides, made once. Cloning its parts
/// into a request counts references and copies nothing.
pub struct UpstreamHead {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    base_path: Box<str>,
    credentials: Credentials,
    query: Query,
    /// Kinds of the client's lines that go whatever else is configured.
    never: Marks,
    via: bool,
    /// What is put in, at most.
    adds: HeadSize,
}

/// A value of an upstream's configuration that cannot stand in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadUpstream {
    /// The configuration's name for it. The value is not told: it may be the key.
    pub field: &'static str,
}

impl fmt::Display for BadUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the upstream's {} contains a character that an HTTP header cannot carry",
            self.field
        )
    }
}

impl std::error::Error for BadUpstream {}

/// Names the authority only. Whether there is a key is said, the key never.
impl fmt::Debug for UpstreamHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamHead")
            .field("authority", &self.authority)
            .field("base_path", &self.base_path)
            .field("credentials", &self.credentials.shown())
            .finish_non_exhaustive()
    }
}

impl UpstreamHead {
    /// From one upstream's configuration, once, at start or reload. `via`: whether requests say
    /// that they came through us.
    pub fn new(upstream: &config::Upstream, via: bool) -> Result<Self, BadUpstream> {
        let bad = |field| BadUpstream { field };
        let (scheme, default_port) = match upstream.scheme {
            config::Scheme::Http => (Scheme::HTTP, 80),
            config::Scheme::Https => (Scheme::HTTPS, 443),
        };
        let authority = upstream
            .host_header
            .clone()
            .unwrap_or_else(|| authority(&upstream.host, upstream.port, default_port));
        let host = HeaderValue::try_from(&authority).map_err(|_| bad("host"))?;
        let (credentials, query) = (Credentials::of(upstream)?, Query::of(upstream));
        let underscores = upstream.underscores_in_headers;
        let pseudo = [":method", ":path", ":scheme", "https", ":authority", &authority];
        let others = ["accept-encoding", "identity", "via", "1.1 firstbyte", &upstream.base_path];
        let bytes = pseudo.iter().chain(&others).map(|text| text.len()).sum::<usize>();
        let bytes = bytes + query.adds();
        let adds = (0..5).fold(HeadSize::default().with(bytes), |size, _| size.with(0));
        Ok(Self {
            scheme,
            authority: Authority::try_from(authority).map_err(|_| bad("host"))?,
            host,
            base_path: upstream.base_path.as_str().into(),
            adds: adds.and(credentials.size()),
            credentials,
            query,
            never: if underscores { UNTRUSTED } else { UNTRUSTED.and(Marks::UNDERSCORE) },
            via,
        })
    }

    /// The size of the head that [`UpstreamHead::request`] makes of this one, at most. Known before there is
    /// a connection.
    pub fn most(&self, client: &Parts, scan: HeadScan) -> HeadSize {
        let mut size = scan.size.and(self.adds);
        size.bytes += client.method.as_str().len() + path(client).len();
        size
    }

    /// A query that the upstream wrote, without what configuration adds to it; `None` where that is nothing.
    pub fn hide_query(&self, said: &str) -> Option<String> {
        self.query.hide(said)
    }

    /// The client's head as the upstream is to see it, in place.
    ///
    /// `scan` is of the client's lines; `prefix` is the matched route's ([`Match::prefix`](crate::route::Match)); `version` is how
    /// HTTP is spoken on the connection: `HTTP_2`, or else HTTP/1.1. Extensions are dropped; of ours
    /// there is [`Withheld`] where header lines were left out for their names' underscores. Fails with [`Kind::MethodRefused`], with [`Kind::BadRequest`] where the head could be understood in
    /// two ways (the client's connection should then close), and with [`Kind::Internal`] if `prefix`
    /// is not the path's.
    pub fn request(
        &self,
        client: Parts,
        HeadScan { marks, .. }: HeadScan,
        prefix: &str,
        version: Version,
    ) -> Result<Request<()>, Error> {
        let mut head = client;
        // A tunnel is not ours to offer, and an answer to TRACE would show the client our key.
        if matches!(head.method, Method::CONNECT | Method::TRACE) {
            return Err(Kind::MethodRefused.into());
        }
        refuse_ambiguity(&mut head, marks)?;
        let asked = std::mem::take(&mut head.uri);
        let changed = self.query.change(asked.query());
        // Where the query is another, the URI's spelling of the rest is sent.
        let raw = head.extensions.remove();
        let raw = raw.filter(|_| version != Version::HTTP_2 && changed.is_none());
        let raw = raw.and_then(|raw| target::rewrite_raw(raw, prefix, &self.base_path));
        let target =
            target::rewrite(&head.method, asked, prefix, &self.base_path, changed.as_deref())?;
        clean_marked(&mut head.headers, marks);
        let withheld = self.replace(&mut head.headers, marks);
        // A compressor may hold frames back until it has a block's worth.
        head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if self.via {
            add_via(&mut head.headers, head.version);
        }
        self.address(&mut head, target, version, marks)?;
        head.extensions = Extensions::new();
        if let Some(raw) = raw {
            head.extensions.insert(raw);
        }
        if withheld > 0 {
            head.extensions.insert(Withheld(withheld));
        }
        Ok(Request::from_parts(head, ()))
    }

    /// Takes out what the client may not say, its credentials unless they are to pass, and puts ours
    /// in. How many lines went for their names' underscores.
    fn replace(&self, headers: &mut HeaderMap, marks: Marks) -> u64 {
        let mut withheld = 0;
        for name in marked(headers, marks, self.never.and(self.credentials.drops())) {
            let never = self.never.any(Marks::of(&name));
            if !never && self.credentials.forwards(&name) {
                hide(headers, &name);
                continue;
            }
            let before = headers.len();
            headers.remove(&name);
            if never && Marks::of(&name).any(Marks::UNDERSCORE) {
                withheld += (before - headers.len()) as u64;
            }
        }
        self.credentials.put_in(headers, marks);
        withheld
    }

    /// Target and authority, in the form of the version.
    fn address(
        &self,
        head: &mut Parts,
        target: PathAndQuery,
        version: Version,
        marks: Marks,
    ) -> Result<(), Error> {
        if version == Version::HTTP_2 {
            head.headers.remove(HOST);
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(self.scheme.clone());
            parts.authority = Some(self.authority.clone());
            parts.path_and_query = Some(target);
            head.uri = Uri::from_parts(parts).map_err(|e| Error::with(Kind::Internal, e))?;
            head.version = Version::HTTP_2;
        } else {
            head.headers.insert(HOST, self.host.clone());
            // It would have to be named in a `Connection` of ours; model APIs send no trailers.
            head.headers.remove(TE);
            if marks.any(Marks::CREDENTIAL) {
                join_cookies(&mut head.headers)?;
            }
            head.uri = Uri::from(target);
            head.version = Version::HTTP_11;
        }
        Ok(())
    }
}

/// Whether a client's head, whose size is `most`, may be more than an upstream can read.
pub(crate) fn is_large(client: &Parts, most: HeadSize) -> bool {
    most.is_large(|| {
        let lines = client.headers.iter();
        let lines = lines.flat_map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()]);
        lines.chain(std::iter::once(path(client).as_bytes()))
    })
}

fn path(client: &Parts) -> &str {
    client.uri.path_and_query().map_or("/", PathAndQuery::as_str)
}

/// `host[:port]`, an IPv6 address in brackets (RFC 3986, section 3.2.2).
fn authority(host: &str, port: u16, default_port: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == default_port { host } else { format!("{host}:{port}") }
}

/// HTTP/2 may split cookies over lines; HTTP/1.1 must see one (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) -> Result<(), Error> {
    let mut lines = headers.get_all(COOKIE).iter();
    if lines.next().and(lines.next()).is_none() {
        return Ok(());
    }
    let lines: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let joined = HeaderValue::from_bytes(&lines.join(&b"; "[..]));
    headers.insert(COOKIE, joined.map_err(|error| Error::with(Kind::Internal, error))?);
    Ok(())
}

#[cfg(test)]
pub(in crate::relay::head) mod tests;
