//! `upstreams.NAME.proxy`: the HTTP proxy through which an upstream is reached, and the variables that name one.

use std::env::VarError;
use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::url::{Scheme, Url, host_and_port};
use crate::algo::percent;
use crate::config::file::env::Env;
use crate::config::file::fault::Complaint;
use crate::config::key::Key;
use crate::config::key::reader::{Fields, Reader};
use crate::config::kind::{Around, Kind};

pub(super) static PROXY: Key<ProxyText> = Key::new(
    "proxy",
    ProxyText,
    "HTTP proxy through which the upstream is reached (CONNECT): `http://HOST:PORT`, with \
     `USER:PASSWORD@` before the host for Basic authentication; `off` for none. By default, for an \
     `https://` URL, `HTTPS_PROXY`, unless `NO_PROXY` has the host.",
);

/// As curl has them: small letters first.
const HTTPS_PROXY: [&str; 2] = ["https_proxy", "HTTPS_PROXY"];
const NO_PROXY: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// An HTTP proxy between us and an upstream.
#[derive(Clone)]
pub struct Egress {
    /// Without brackets or port.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The value of `Proxy-Authorization` (RFC 9110, section 11.7.2).
    pub authorization: Option<SecretString>,
}

impl PartialEq for Egress {
    fn eq(&self, other: &Self) -> bool {
        let secret =
            |of: &Self| of.authorization.as_ref().map(|text| text.expose_secret().to_owned());
        (&self.host, self.port, secret(self)) == (&other.host, other.port, secret(other))
    }
}

/// Its address only.
impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Its address only.
impl fmt::Display for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Egress {
    /// What the key says, or else the environment.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        fields: &Fields<'_>,
        url: Option<&Url>,
    ) -> Option<Self> {
        let url_has_socket = url.is_some_and(|url| url.socket.is_some());
        match reader.get(fields, &PROXY) {
            Some(Written::Through(_)) if url_has_socket => {
                let what = "has no effect with a Unix socket";
                reader.fault_in(fields, &PROXY, what, "remove the line");
                None
            }
            Some(Written::Through(egress)) => Some(egress),
            Some(Written::Off) => None,
            None if fields.has(PROXY.name) => None, // it was faulty
            None => match Self::of_environment(reader.env(), url?) {
                Ok(found) => found,
                Err((name, complaint)) => {
                    let what =
                        format!("has no `proxy`, and the variable {name} {}", complaint.what);
                    reader.fault(fields.at, &*fields.path, what, complaint.hint);
                    None
                }
            },
        }
    }

    /// The proxy that the environment names for this URL.
    ///
    /// # Errors
    /// The variable's name, and what is wrong with its value.
    pub(in crate::config) fn of_environment(
        env: &dyn Env,
        url: &Url,
    ) -> Result<Option<Self>, (&'static str, Complaint)> {
        if url.scheme != Scheme::Https || url.socket.is_some() || is_here(&url.host) {
            return Ok(None);
        }
        let Some((name, text)) = first(env, HTTPS_PROXY)? else { return Ok(None) };
        let exempt = first(env, NO_PROXY)?.is_some_and(|(_, list)| is_exempt(&list, url));
        if exempt {
            return Ok(None);
        }
        parse(&text).map(Some).map_err(|complaint| (name, complaint))
    }
}

/// The first of these variables that is set and not empty.
fn first(
    env: &dyn Env,
    names: [&'static str; 2],
) -> Result<Option<(&'static str, String)>, (&'static str, Complaint)> {
    for name in names {
        match env.var(name) {
            Ok(text) if !text.is_empty() => return Ok(Some((name, text))),
            Ok(_) | Err(VarError::NotPresent) => {}
            Err(VarError::NotUnicode(_)) => {
                return Err((name, Complaint::about_a_secret("is not UTF-8", "")));
            }
        }
    }
    Ok(None)
}

/// A proxy of another machine leads nowhere on this one.
fn is_here(host: &str) -> bool {
    let address = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    address || host.eq_ignore_ascii_case("localhost")
}

/// Whether `NO_PROXY` has the host: names and the domains above it, addresses, networks (`10.0.0.0/8`), each
/// with a port or without, or `*` for all.
fn is_exempt(list: &str, url: &Url) -> bool {
    let host = url.host.trim_end_matches('.').to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok();
    list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        if entry == "*" {
            return true;
        }
        if let Some(address) = address {
            return has_address(&entry, address, url.port);
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) => (name, port.parse().ok()),
            None => (&*entry, Some(url.port)),
        };
        let name = name.trim_start_matches("*.").trim_matches('.');
        let within =
            host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        !name.is_empty() && within && port == Some(url.port)
    })
}

fn has_address(entry: &str, address: IpAddr, port: u16) -> bool {
    if let Some((network, bits)) = entry.split_once('/') {
        let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else {
            return false;
        };
        let (network, address, width) = match (network, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (u128::from(a.to_bits()), u128::from(b.to_bits()), 32)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        let apart = width - bits.min(width);
        return bits <= width && (network ^ address).checked_shr(apart).unwrap_or(0) == 0;
    }
    match host_and_port(entry) {
        Ok((one, None)) => one.parse() == Ok(address),
        Ok((one, Some(one_port))) => one.parse() == Ok(address) && one_port.parse() == Ok(port),
        Err(_) => entry.parse() == Ok(address), // IPv6 without brackets
    }
}

/// What the key says.
pub(in crate::config) enum Written {
    /// None, whatever the environment says.
    Off,
    Through(Egress),
}

/// A proxy's URL, or `off`.
pub(in crate::config) struct ProxyText;

impl Kind for ProxyText {
    type Value = Option<Written>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<Written>, Complaint> {
        if text == "off" {
            return Ok(Some(Written::Off));
        }
        parse(text).map(Written::Through).map(Some)
    }

    fn absent(&self) -> Option<Written> {
        None
    }

    fn name(&self) -> String {
        "URL, `off`".into()
    }

    fn default_text(&self) -> Option<String> {
        Some("HTTPS_PROXY".into())
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

/// `[http://][USER:PASSWORD@]HOST:PORT[/]`. No complaint quotes it: it may hold a password.
fn parse(text: &str) -> Result<Egress, Complaint> {
    let refuse = |what: &str, hint: &str| Err(Complaint::about_a_secret(what, hint));
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    match &*scheme.to_ascii_lowercase() {
        "http" => {}
        "https" => {
            let hint =
                "write http://; what goes through it is encrypted to the upstream all the same";
            return refuse("is an https:// proxy, and TLS to a proxy is not supported", hint);
        }
        scheme if scheme.starts_with("socks") => {
            return refuse("is a SOCKS proxy, which is not supported", "name an HTTP proxy");
        }
        _ => return refuse("has a scheme that is not http", "write `http://HOST:PORT`"),
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (user, authority) = match rest.rsplit_once('@') {
        Some((user, authority)) => (Some(user), authority),
        None => (None, rest),
    };
    if authority.contains(['/', '?', '#']) {
        return refuse("has a path or a query", "write `http://HOST:PORT`");
    }
    let secret = |complaint: Complaint| Complaint { quotable: false, ..complaint };
    let (host, port) = host_and_port(authority).map_err(secret)?;
    // curl would take 1080, others 80.
    let Some(port) = port else { return refuse("has no port", "write it, such as `:3128`") };
    let Some(port) = port.parse().ok().filter(|port| *port != 0) else {
        return refuse("has a port that is not a number from 1 to 65535", "");
    };
    let authorization = user.map(basic).transpose()?;
    Ok(Egress { host: host.to_owned(), port, authorization })
}

/// RFC 7617, section 2.
fn basic(user: &str) -> Result<SecretString, Complaint> {
    let refuse = |what: &str, hint: &str| Complaint::about_a_secret(what, hint);
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let decoded = |text| {
        percent::decoded(text).ok_or_else(|| {
            let hint = "write `%25` for a percent sign";
            refuse("has a percent sign in its user or password that encodes nothing", hint)
        })
    };
    let (name, password) = (decoded(name)?, decoded(password)?);
    if name.contains(&b':') || name.iter().chain(&password).any(u8::is_ascii_control) {
        return Err(refuse("has a colon or a control character in its user or password", ""));
    }
    let text = BASE64.encode([&name[..], b":", &password].concat());
    Ok(SecretString::from(format!("Basic {text}")))
}

#[cfg(test)]
mod tests {
    use super::super::url;
    use super::*;

    fn exempt(list: &str, url: &str) -> bool {
        is_exempt(list, &url::parse(url).unwrap())
    }

    #[test]
    fn no_proxy_has_names_domains_addresses_and_networks() {
        let api = "https://api.example.com/v1";
        for list in [
            "*",
            "example.com",
            ".example.com",
            "*.example.com",
            "API.example.com",
            "a, com",
            "x example.com",
            "api.example.com:443",
        ] {
            assert!(exempt(list, api), "{list}");
        }
        for list in ["", "ample.com", "example.com.org", "api.example.com:8443", "10.0.0.0/8", "."]
        {
            assert!(!exempt(list, api), "{list}");
        }
        for list in ["10.1.2.3", "10.0.0.0/8", "10.1.2.3:443", "0.0.0.0/0", "1.1.1.1,10.1.2.3/32"] {
            assert!(exempt(list, "https://10.1.2.3/"), "{list}");
        }
        for list in ["10.1.2.4", "10.1.2.3:80", "11.0.0.0/8", "10.1.2.3/33", "3", "::/0"] {
            assert!(!exempt(list, "https://10.1.2.3/"), "{list}");
        }
        assert!(exempt("2001:db8::/32", "https://[2001:db8::7]/"));
        assert!(exempt("[2001:db8::7]:443", "https://[2001:db8::7]/"));
        assert!(exempt("2001:db8::7", "https://[2001:db8::7]/"));
    }

    #[test]
    fn a_proxy_is_taken_apart_and_its_password_decoded() {
        let egress = parse("http://user:p%40ss%3A@proxy.test:3128/").unwrap();
        assert_eq!((&*egress.host, egress.port), ("proxy.test", 3128));
        let shown = egress.authorization.as_ref().unwrap().expose_secret();
        assert_eq!(shown, format!("Basic {}", BASE64.encode("user:p@ss:")));
        assert!(!format!("{egress:?}").contains("Basic"));
        assert_eq!(parse("proxy.test:3128").unwrap().port, 3128, "as curl has it");
        assert_eq!(parse("http://[::1]:3128").unwrap().to_string(), "[::1]:3128");
        for (text, what) in [
            ("https://p:1", "TLS to a proxy"),
            ("socks5h://p:1", "SOCKS"),
            ("ftp://p:1", "not http"),
            ("http://p", "no port"),
            ("http://p:0", "port"),
            ("http://p:1/path", "path"),
            ("http://u:%zz@p:1", "percent"),
            ("http://u%3a:x@p:1", "colon"),
        ] {
            let complaint = parse(text).unwrap_err();
            assert!(
                complaint.what.contains(what) && !complaint.quotable,
                "{text}: {}",
                complaint.what
            );
        }
    }
}
