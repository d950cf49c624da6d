//! What an upstream of the operator's own is told of the client: `x-forwarded-for`, `x-forwarded-proto` and
//! `x-forwarded-host`.
//!
//! What a client says of itself is taken out of every head. What a trusted proxy said of it comes back here, where
//! the operator wants it.

use std::net::IpAddr;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;

use crate::config::Forwarded;
use crate::record::ClientAddress;
use crate::upstream::HeadSize;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const SENT_TO: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The longest address, with what joins it to others.
const ADDRESS: usize = 48;

/// How a request came.
#[derive(Debug, Clone, Copy)]
pub struct Came {
    /// Whose it is.
    pub client: ClientAddress,
    /// Who sent it to us: the client, or the proxy before us.
    pub peer: ClientAddress,
    /// That is a proxy whose word counts.
    pub by_trusted: bool,
    /// It came by TLS.
    pub is_tls: bool,
}

/// Puts in what `how` asks for. `original` is the head as it came, `headers` that which goes.
pub fn tell(headers: &mut HeaderMap, how: Forwarded, original: &Parts, came: Came) {
    if how == Forwarded::Off {
        return;
    }
    let told = |name: HeaderName| original.headers.get(name).filter(|_| came.by_trusted).cloned();
    let chain = match how {
        Forwarded::Append if came.by_trusted => chain(&original.headers, came.peer.ip()),
        _ => came.client.ip().map(|address| address.to_canonical().to_string()),
    };
    let put = |headers: &mut HeaderMap, name, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    };
    put(headers, FOR, chain.and_then(|chain| HeaderValue::try_from(chain).ok()));
    let scheme = if came.is_tls { "https" } else { "http" };
    put(headers, PROTO, told(PROTO).or(Some(HeaderValue::from_static(scheme))));
    put(headers, SENT_TO, told(SENT_TO).or_else(|| authority(original)));
}

/// What it adds to a head, at most.
pub fn most(how: Forwarded, original: &Parts) -> HeadSize {
    if how == Forwarded::Off {
        return HeadSize::default();
    }
    let kept: usize = original.headers.get_all(FOR).iter().map(|line| line.len() + 2).sum();
    let length = |value: Option<HeaderValue>| value.map_or(0, |value| value.len());
    let proto = length(original.headers.get(PROTO).cloned()).max("https".len());
    let sent_to = length(original.headers.get(SENT_TO).cloned()).max(length(authority(original)));
    HeadSize::default()
        .with(FOR.as_str().len() + kept + ADDRESS)
        .with(PROTO.as_str().len() + proto)
        .with(SENT_TO.as_str().len() + sent_to)
}

/// All that was said, and who said it last.
fn chain(headers: &HeaderMap, peer: Option<IpAddr>) -> Option<String> {
    let lines = headers.get_all(FOR).iter().filter_map(|line| line.to_str().ok());
    let peer = peer.map(|peer| peer.to_canonical().to_string());
    let all: Vec<&str> = lines.chain(peer.as_deref()).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// The name by which the client asked.
fn authority(original: &Parts) -> Option<HeaderValue> {
    let asked = original.uri.authority();
    let asked = asked.and_then(|asked| HeaderValue::from_str(asked.as_str()).ok());
    asked.or_else(|| original.headers.get(HOST).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(client: &str, peer: &str, by_trusted: bool) -> Came {
        let client = ClientAddress::Host(client.parse().unwrap());
        let peer = ClientAddress::Socket(peer.parse().unwrap());
        Came { client, peer, by_trusted, is_tls: true }
    }

    /// What goes, of a request for `api.test` with these lines.
    fn told(how: Forwarded, lines: &[(&'static str, &str)], came: Came) -> [String; 3] {
        let mut request = http::Request::get("/v1").header(HOST, "api.test");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let (original, ()) = request.body(()).unwrap().into_parts();
        let mut headers = HeaderMap::new();
        tell(&mut headers, how, &original, came);
        let most = most(how, &original);
        let size = HeadSize::of(&headers);
        assert!(size.bytes <= most.bytes && size.lines <= most.lines, "{headers:?}");
        let value =
            |name: HeaderName| headers.get(name).map_or("", |value| value.to_str().unwrap());
        [FOR, PROTO, SENT_TO].map(|name| value(name).to_owned())
    }

    const SAID: [(&str, &str); 4] = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "chat.test"),
    ];

    #[test]
    fn nothing_is_told_where_nothing_was_asked_for() {
        let came = came("192.0.2.7", "10.0.0.1:1", true);
        assert_eq!(told(Forwarded::Off, &SAID, came), ["", "", ""]);
    }

    #[test]
    fn set_names_the_client_alone_and_append_all_that_trusted_proxies_said() {
        let trusted = came("192.0.2.7", "10.0.0.1:1", true);
        assert_eq!(told(Forwarded::Set, &SAID, trusted), ["192.0.2.7", "http", "chat.test"]);
        let chain = "6.6.6.6, 192.0.2.7, 10.0.0.1";
        assert_eq!(told(Forwarded::Append, &SAID, trusted), [chain, "http", "chat.test"]);
        assert_eq!(told(Forwarded::Append, &[], trusted), ["10.0.0.1", "https", "api.test"]);
    }

    #[test]
    fn what_a_client_says_of_itself_is_told_to_nobody() {
        let direct = came("192.0.2.9", "192.0.2.9:1", false);
        for how in [Forwarded::Set, Forwarded::Append] {
            assert_eq!(told(how, &SAID, direct), ["192.0.2.9", "https", "api.test"]);
        }
    }
}
