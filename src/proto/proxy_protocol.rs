//! The header by which a balancer says who connected to it (HAProxy's PROXY protocol, versions 1 and 2).
//!
//! Whoever may write it chooses what is logged: it is read only where the operator asked for it, and then it is
//! never optional.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What version 1 begins with.
const WORD: &[u8; 6] = b"PROXY ";

/// The longest line of version 1, with its end.
const LONGEST_LINE: usize = 107;

/// Bytes of version 2 behind its first sixteen: addresses and what else is told; a client's certificate fits.
const MOST: usize = 16 * 1024;

/// What bytes are, as soon as they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header.
    Part,
    /// A header of this length. It names who connected; `None` where the balancer speaks for itself (a health
    /// check), or does not know.
    Whole(usize, Option<SocketAddr>),
    /// No header.
    Other,
}

/// What `bytes` begin with.
pub fn parse(bytes: &[u8]) -> Parsed {
    let begins = |with: &[u8]| {
        let length = with.len().min(bytes.len());
        bytes[..length] == with[..length]
    };
    if begins(SIGNATURE) {
        version_2(bytes)
    } else if begins(WORD) {
        version_1(bytes)
    } else {
        Parsed::Other
    }
}

fn version_1(bytes: &[u8]) -> Parsed {
    let line = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        return if line.len() < LONGEST_LINE { Parsed::Part } else { Parsed::Other };
    };
    let text = line[..end].strip_suffix(b"\r").and_then(|text| std::str::from_utf8(text).ok());
    let Some(mut words) = text.map(|text| text.split(' ').skip(1)) else { return Parsed::Other };
    let source = match words.next() {
        // What follows is to be ignored.
        Some("UNKNOWN") => return Parsed::Whole(end + 1, None),
        Some("TCP4") => source::<Ipv4Addr>(words),
        Some("TCP6") => source::<Ipv6Addr>(words),
        _ => None,
    };
    source.map_or(Parsed::Other, |source| Parsed::Whole(end + 1, Some(source)))
}

/// Two addresses and two ports, and no more.
fn source<'a, A>(mut words: impl Iterator<Item = &'a str>) -> Option<SocketAddr>
where
    A: std::str::FromStr + Into<IpAddr>,
{
    let (from, to) = (words.next()?.parse::<A>().ok()?, words.next()?.parse::<A>());
    let port = |word: &str| {
        let number = word.bytes().all(|byte| byte.is_ascii_digit());
        word.parse::<u16>().ok().filter(|_| number)
    };
    let ports = (port(words.next()?)?, port(words.next()?)?);
    (to.is_ok() && words.next().is_none()).then(|| SocketAddr::new(from.into(), ports.0))
}

fn version_2(bytes: &[u8]) -> Parsed {
    let Some((&[version, family, high, low], rest)) =
        bytes.get(SIGNATURE.len()..).and_then(<[u8]>::split_first_chunk::<4>)
    else {
        return Parsed::Part;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if version >> 4 != 2 || length > MOST {
        return Parsed::Other;
    }
    let Some(told) = rest.get(..length) else { return Parsed::Part };
    let whole = |source| Parsed::Whole(SIGNATURE.len() + 4 + length, source);
    match (version & 0xf, family) {
        // LOCAL: what follows is to be ignored. And a family that is not told, or has no addresses.
        (0, _) | (1, 0x00 | 0x31 | 0x32) => whole(None),
        (1, 0x11) => match (told.first_chunk::<4>(), told.get(8..10), told.len() >= 12) {
            (Some(address), Some(&[high, low]), true) => {
                let port = u16::from_be_bytes([high, low]);
                whole(Some(SocketAddr::new(Ipv4Addr::from(*address).into(), port)))
            }
            _ => Parsed::Other,
        },
        (1, 0x21) => match (told.first_chunk::<16>(), told.get(32..34), told.len() >= 36) {
            (Some(address), Some(&[high, low]), true) => {
                let port = u16::from_be_bytes([high, low]);
                whole(Some(SocketAddr::new(Ipv6Addr::from(*address).into(), port)))
            }
            _ => Parsed::Other,
        },
        _ => Parsed::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn v2(command: u8, family: u8, told: &[u8]) -> Vec<u8> {
        let length = u16::try_from(told.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, told].concat()
    }

    fn tcp4(more: &[u8]) -> Vec<u8> {
        let addresses = [192, 0, 2, 7, 10, 0, 0, 1, 0xc0, 0x00, 0x01, 0xbb];
        v2(1, 0x11, &[&addresses[..], more].concat())
    }

    #[test]
    fn both_versions_name_who_connected() {
        let mut tcp6 = [0; 36];
        (tcp6[0], tcp6[1], tcp6[15], tcp6[33]) = (0x20, 0x01, 9, 80);
        let all = [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 49152 443\r\n".to_vec(), Some(at("192.0.2.7:49152"))),
            (b"PROXY TCP6 2001:db8::7 ::1 1 443\r\n".to_vec(), Some(at("[2001:db8::7]:1"))),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN whatever 1 2 3\r\n".to_vec(), None),
            (tcp4(b""), Some(at("192.0.2.7:49152"))),
            (tcp4(b"\x03\0\x04abcd"), Some(at("192.0.2.7:49152"))),
            (v2(1, 0x21, &tcp6), Some(at("[2001::9]:80"))),
            (v2(0, 0x11, b""), None),
            (v2(0, 0x00, b""), None),
            (v2(1, 0x31, &[0; 216]), None),
        ];
        for (header, source) in all {
            let request = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(parse(&request), Parsed::Whole(header.len(), source), "{header:?}");
            for cut in 0..header.len() {
                assert_eq!(parse(&header[..cut]), Parsed::Part, "{cut} of {header:?}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_known_at_once_and_never_taken_for_one() {
        let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat();
        for other in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x16\x03\x01",
            b"PRI * HTTP/2.0\r\n",
            b"PROXYTCP4 ",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 49152 443\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 49152\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 49152 443 1\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 +1 443\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n",
            b"PROXY TCP4 2001:db8::7 ::1 1 443\r\n",
            b"PROXY TCP6 192.0.2.7 10.0.0.1 1 443\r\n",
            b"PROXY UDP4 192.0.2.7 10.0.0.1 1 443\r\n",
            b"PROXY \r\n",
            &long,
            &v2(2, 0x11, &[0; 12]),
            &v2(1, 0x11, &[0; 11]),
            &v2(1, 0x21, &[0; 35]),
            &v2(1, 0x41, &[0; 36]),
            &v2(1, 0x11, &vec![0; MOST + 1]),
            b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c",
        ] {
            assert_eq!(parse(other), Parsed::Other, "{:?}", String::from_utf8_lossy(other));
        }
    }
}
