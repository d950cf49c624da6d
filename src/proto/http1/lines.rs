//! The lines of a head, of either direction.

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HeaderMap, TE};
use http::{HeaderName, HeaderValue};

/// A line that no map of headers can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadLine {
    Name,
    Value,
    /// One more than the map holds.
    TooMany,
}

/// What lines say of the connection, and of what their sender can do.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Whether the connection stays, where either was said.
    pub(super) keep_alive: Option<bool>,
    pub(super) expects: bool,
    pub(super) trailers: bool,
}

/// The lines as a map with room for so many more. Values share `block`.
pub(super) fn map(
    block: &Bytes,
    lines: &[httparse::Header<'_>],
    more: usize,
) -> Result<HeaderMap, BadLine> {
    let mut headers = HeaderMap::with_capacity(lines.len() + more);
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| BadLine::Name)?;
        let value = HeaderValue::from_maybe_shared(block.slice_ref(line.value))
            .map_err(|_| BadLine::Value)?;
        headers.try_append(name, value).map_err(|_| BadLine::TooMany)?;
    }
    Ok(headers)
}

/// Read from the lines: looking for each name in the map would hash it again.
pub(super) fn said(lines: &[httparse::Header<'_>]) -> Said {
    let mut said = Said::default();
    for line in lines {
        let is = |name: HeaderName| line.name.eq_ignore_ascii_case(name.as_str());
        match line.name.len() {
            10 if is(CONNECTION) => {
                if has(line.value, b"close") {
                    said.keep_alive = Some(false);
                } else if has(line.value, b"keep-alive") {
                    said.keep_alive.get_or_insert(true);
                }
            }
            6 if is(EXPECT) => said.expects |= has(line.value, b"100-continue"),
            2 if is(TE) => said.trailers |= has(line.value, b"trailers"),
            _ => {}
        }
    }
    said
}

/// Whether `member` is in a list.
fn has(list: &[u8], member: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(member))
}

/// Digits alone: `u64::from_str` would take a plus sign.
pub(super) fn number(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Whether a `transfer-encoding` is `chunked` alone, which is the only one that is taken off here.
pub(super) fn is_chunked(line: &HeaderValue) -> bool {
    line.as_bytes().eq_ignore_ascii_case(b"chunked")
}
