//! Who a client is where proxies stand in front: what `x-forwarded-for` and `forwarded` (RFC 7239) say, as far as
//! those who say it are trusted.
//!
//! Each proxy adds at the end who connected to it. Read from the end, every name is the word of the one behind
//! it: the first that is no trusted proxy is the client, and what stands before that anybody may have written.

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use crate::config::Networks;
use crate::record::ClientAddress;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Names of one head that are looked at. There are not so many proxies in a row.
const MOST: usize = 32;

/// Whether the word of this peer counts.
pub fn is_trusted(peer: ClientAddress, trusted: &Networks) -> bool {
    match peer.ip() {
        Some(address) => trusted.contain(address),
        None => trusted.unix,
    }
}

/// The client whose request `peer` sent with these headers; itself where it is not trusted or says nothing. Where
/// both headers are there and differ, neither is believed: a proxy that writes one of them may pass on the other
/// as the client wrote it.
pub fn real_client(peer: ClientAddress, headers: &HeaderMap, trusted: &Networks) -> ClientAddress {
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let told = |name: HeaderName, read: fn(&str) -> Option<IpAddr>| {
        let lines = headers.get_all(name).iter().collect::<Vec<_>>();
        last_untrusted(&lines, read, trusted)
    };
    match (told(FORWARDED_FOR, address), told(FORWARDED, forwarded_for)) {
        (Some(one), None) | (None, Some(one)) => ClientAddress::Host(one),
        (Some(one), Some(other)) if one == other => ClientAddress::Host(one),
        _ => peer,
    }
}

/// From the end, the first name that is no trusted proxy's; if all are, the first that was written. What cannot be
/// read ends the search: the proxy that wrote it is as far as anybody knows.
fn last_untrusted(
    lines: &[&HeaderValue],
    read: fn(&str) -> Option<IpAddr>,
    trusted: &Networks,
) -> Option<IpAddr> {
    let mut known = None;
    let members = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for member in members.take(MOST) {
        let text = std::str::from_utf8(member).ok().map(str::trim);
        let Some(address) = text.and_then(read) else { return known };
        known = Some(address);
        if !trusted.contain(address) {
            return known;
        }
    }
    known
}

/// An address, with or without a port: some balancers write one.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok();
    let address = address.or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// The `for` of an element: `for="[2001:db8::1]:1234";proto=https`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| address(value.trim().trim_matches('"')))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Network;

    fn networks() -> Networks {
        Networks::new(["10.0.0.0/8", "fd00::/8"].map(|text| Network::parse(text).unwrap()).into())
    }

    /// Who is behind a peer at 10.0.0.1 that sends these lines.
    #[track_caller]
    fn assert_client(lines: &[(&str, &str)], expected: &str) {
        let peer: SocketAddr = "10.0.0.1:1234".parse().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let client = real_client(peer.into(), &headers, &networks());
        assert_eq!(client.to_string(), expected, "{lines:?}");
    }

    #[test]
    fn the_last_name_that_is_no_trusted_proxy_s_is_the_client() {
        let forwarded_for =
            |value, expected| assert_client(&[("x-forwarded-for", value)], expected);
        forwarded_for("192.0.2.7", "192.0.2.7");
        forwarded_for("6.6.6.6, 192.0.2.7", "192.0.2.7");
        forwarded_for("6.6.6.6, 192.0.2.7, 10.2.3.4", "192.0.2.7");
        forwarded_for("192.0.2.7:4711,fd00::9", "192.0.2.7");
        forwarded_for("[2001:db8::7]:443", "2001:db8::7");
        forwarded_for("::ffff:192.0.2.7", "192.0.2.7");
        forwarded_for("10.9.9.9, 10.2.3.4", "10.9.9.9");
        assert_client(
            &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.7")],
            "192.0.2.7",
        );
        let forwarded = |value, expected| assert_client(&[("forwarded", value)], expected);
        forwarded("for=192.0.2.7;proto=https", "192.0.2.7");
        forwarded("for=6.6.6.6, by=x; For=\"[2001:db8::7]:1234\"", "2001:db8::7");
    }

    #[test]
    fn what_nobody_trusted_said_is_not_believed() {
        let none = "10.0.0.1:1234";
        assert_client(&[], none);
        assert_client(&[("x-forwarded-for", "unknown")], none);
        assert_client(&[("x-forwarded-for", "192.0.2.7, unknown, 10.1.1.1")], "10.1.1.1");
        assert_client(&[("forwarded", "for=_hidden")], none);
        let both = [("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=6.6.6.6")];
        assert_client(&both, none);
        assert_client(
            &[("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=192.0.2.7")],
            "192.0.2.7",
        );
        let many = "10.1.1.1,".repeat(1000) + "10.1.1.1";
        assert_client(&[("x-forwarded-for", &many)], "10.1.1.1");
        let outside: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_FOR, "6.6.6.6".parse().unwrap());
        assert_eq!(real_client(outside.into(), &headers, &networks()), outside.into());
        assert_eq!(real_client(ClientAddress::Unix, &headers, &networks()), ClientAddress::Unix);
        let mut trusting = networks();
        trusting.unix = true;
        let named = real_client(ClientAddress::Unix, &headers, &trusting);
        assert_eq!(named.to_string(), "6.6.6.6");
    }
}
