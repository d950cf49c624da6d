//! The Common Log Format, for tools that read what Apache and nginx write.

use std::io::Write as _;

use http::Version;

use super::date::{ClockPair, common};
use crate::record::collect::finished::{Finished, METHOD_BYTES, cut};

/// What nginx writes where the client left before it was answered.
const CLIENT_LEFT: u16 = 499;

/// Appends `address - client [date] "method path version" status bytes` with its newline. The path has no query.
pub(super) fn append_line(out: &mut Vec<u8>, finished: &Finished, clocks: ClockPair) {
    let Finished { opened, facts, .. } = finished;
    let version = match opened.version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    };
    let date = common(clocks.date(opened.at));
    // Writing into memory cannot fail.
    // Whose key it was, where Apache has the user's name.
    let user = facts.client.as_deref().map_or("-", |client| &*client.name);
    let _ = match opened.client.ip() {
        Some(ip) => write!(out, "{ip} - {user} [{date}] \""),
        None => write!(out, "- - {user} [{date}] \""),
    };
    escape(out, cut(opened.method.as_str(), METHOD_BYTES));
    out.push(b' ');
    escape(out, &opened.path);
    let status = facts.status.map_or(CLIENT_LEFT, |status| status.as_u16());
    let _ = write!(out, " {version}\" {status} ");
    match facts.bytes_sent {
        0 => out.push(b'-'),
        bytes => drop(write!(out, "{bytes}")),
    }
    out.push(b'\n');
}

/// As Apache does: what could end the field or the line is written `\"`, `\\` or `\xHH`.
fn escape(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            _ => drop(write!(out, "\\x{byte:02x}")),
        }
    }
}
