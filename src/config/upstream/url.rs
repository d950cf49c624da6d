//! An upstream's URL: scheme, host, port and base path, and nothing that a proxy could not keep.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use secrecy::SecretString;
use serde_json::{Value, json};

use crate::config::file::fault::{Complaint, nearest};
use crate::config::kind::path::check_path;
use crate::config::kind::{Around, Kind};

/// Clear or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http://`
    Http,
    /// `https://`
    Https,
}

/// A URL that was read.
#[derive(Debug, Clone)]
pub(in crate::config) struct Url {
    pub(in crate::config) scheme: Scheme,
    /// Without brackets or port.
    pub(in crate::config) host: String,
    pub(in crate::config) port: u16,
    /// Of a Unix socket.
    pub(in crate::config) socket: Option<PathBuf>,
    /// Without a trailing slash; empty where there is none.
    pub(in crate::config) base_path: String,
    /// What stands behind the `?`: it may be a key.
    pub(in crate::config) query: Option<SecretString>,
}

/// `https://HOST[:PORT][/PATH][?QUERY]`, or the same in clear.
pub(in crate::config) struct UpstreamUrl;

impl Kind for UpstreamUrl {
    type Value = Option<Url>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<Url>, Complaint> {
        // Nothing of a URL is quoted that may hold a password or a key, whatever else is wrong.
        let may_hold_a_secret = text.contains(['@', '?', '#']);
        parse(text).map(Some).map_err(|complaint| Complaint {
            quotable: complaint.quotable && !may_hold_a_secret,
            ..complaint
        })
    }

    fn absent(&self) -> Option<Url> {
        None
    }

    fn name(&self) -> String {
        "URL".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+(/[^?#]*)?(\\?[^#]*)?$|^([Hh][Tt][Tt][Pp]://)?unix:/[^?#@]+$|\\$\\{" })
    }
}

/// What stands in a `Host` header: a host, and a port if it is not the scheme's own.
pub(in crate::config) struct HostText;

impl Kind for HostText {
    type Value = Option<String>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<String>, Complaint> {
        if text.contains("://") || text.contains('/') {
            let hint = "write the host alone, such as api.example.com";
            return Err(Complaint::new("is a URL, not a host", hint));
        }
        let (_, port) = host_and_port(text)?;
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err(Complaint::new("has a port that is not a number from 1 to 65535", ""));
        }
        Ok(Some(text.to_owned()))
    }

    fn absent(&self) -> Option<String> {
        None
    }

    fn name(&self) -> String {
        "host, or host:port".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

/// The parts of an upstream's URL (RFC 3986, section 3); what has no meaning here is refused.
pub(in crate::config) fn parse(text: &str) -> Result<Url, Complaint> {
    if let Some(socket) = unix_socket(text)? {
        return Ok(socket);
    }
    let (scheme, rest) = scheme(text)?;
    if rest.contains('@') {
        let hint = "write the key under `key:`";
        return Err(Complaint::new("has a user name or password", hint));
    }
    if rest.contains('#') {
        let hint = "remove everything from the `#` on";
        return Err(Complaint::new("has a fragment", hint));
    }
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = host_and_port(authority)?;
    let port =
        match port {
            None if scheme == Scheme::Https => 443,
            None => 80,
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
                Complaint::new("has a port that is not a number from 1 to 65535", "")
            })?,
        };
    let base_path = path.trim_end_matches('/');
    check_path(base_path)?;
    let (host, base_path) = (host.to_owned(), base_path.to_owned());
    let query = query.map(check_query).transpose()?.flatten();
    Ok(Url { scheme, host, port, socket: None, base_path, query })
}

/// The bytes that a Unix socket's path may have (`sun_path` in unix(7), less its end).
const LONGEST_SOCKET: usize = 107;

/// `http://unix:/SOCKET[:/PATH]`, as nginx writes it, or without `http://`. A socket has no name to say in `host`:
/// `localhost` stands there, as with nginx and curl.
fn unix_socket(text: &str) -> Result<Option<Url>, Complaint> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let Some(rest) = rest.strip_prefix("unix:") else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("http") {
        let hint = "write `http://unix:`: nobody else can read what goes through a socket";
        return Err(Complaint::new("speaks TLS to a Unix socket, which is not supported", hint));
    }
    if rest.contains(['@', '?', '#']) {
        return Err(Complaint::new("has a user name, a query or a fragment", "remove it"));
    }
    let (socket, path) = rest.split_once(':').unwrap_or((rest, ""));
    if !socket.starts_with('/') || socket.ends_with('/') {
        let hint = "write it like `http://unix:/run/api.sock:/v1`";
        return Err(Complaint::new("has no absolute path of a socket after `unix:`", hint));
    }
    if socket.len() > LONGEST_SOCKET {
        let what =
            format!("has a path of more than {LONGEST_SOCKET} bytes, the limit for a socket");
        return Err(Complaint::new(what, "move the socket, or link to it"));
    }
    let base_path = path.trim_end_matches('/');
    if !path.is_empty() && !path.starts_with('/') {
        let hint = "write it like `http://unix:/run/api.sock:/v1`";
        return Err(Complaint::new("has a path that does not begin with `/`", hint));
    }
    check_path(base_path)?;
    Ok(Some(Url {
        scheme: Scheme::Http,
        host: "localhost".into(),
        port: 80,
        socket: Some(socket.into()),
        base_path: base_path.to_owned(),
        query: None,
    }))
}

fn check_query(query: &str) -> Result<Option<SecretString>, Complaint> {
    if !query.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
        let what = "has a character in its query that is not allowed there";
        return Err(Complaint::about_a_secret(what, "write it percent-encoded, or under `query:`"));
    }
    Ok((!query.is_empty()).then(|| query.into()))
}

fn scheme(text: &str) -> Result<(Scheme, &str), Complaint> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(Complaint::new("has no scheme", "begin with `https://` or `http://`"));
    };
    match &*scheme.to_ascii_lowercase() {
        "https" => Ok((Scheme::Https, rest)),
        "http" => Ok((Scheme::Http, rest)),
        other => {
            let likely = nearest(other, ["https", "http"]).unwrap_or("https");
            Err(Complaint::new("has an unknown scheme", format!("write `{likely}://`")))
        }
    }
}

pub(in crate::config) fn host_and_port(authority: &str) -> Result<(&str, Option<&str>), Complaint> {
    if let Some(after) = authority.strip_prefix('[') {
        let closed = after.split_once(']').filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok());
        return match closed {
            Some((host, "")) => Ok((host, None)),
            Some((host, rest)) if rest.starts_with(':') => Ok((host, rest.get(1..))),
            _ => Err(Complaint::new(
                "has an IPv6 address that is not valid",
                "write it like `[2001:db8::1]`",
            )),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if host.parse::<Ipv6Addr>().is_ok() || port.is_some_and(|port| port.contains(':')) {
        return Err(Complaint::new(
            "has an IPv6 address without brackets",
            "write `[…]` around it",
        ));
    }
    if host.is_empty() {
        return Err(Complaint::new("has no host", "write a name or an address after `://`"));
    }
    if !host.is_ascii() {
        let hint = "write the name in its ASCII form, which begins with `xn--`";
        return Err(Complaint::new("has a host that is not ASCII", hint));
    }
    if !host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')) {
        return Err(Complaint::new("has a character in its host that is not allowed there", ""));
    }
    Ok((host, port))
}
