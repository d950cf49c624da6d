//! Targets with characters that no URI may have (RFC 3986, section 2) and that everybody passes.

use bytes::Bytes;

/// A request's target as it came, from `/` on, where its URI has some characters percent-encoded. It goes with the
/// request as an extension, which nearly no request has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTarget(Bytes);

/// What browsers and scripts leave as it is, nginx and `HAProxy` pass, and the `http` crate refuses in a path or in
/// a query.
const RAW: &[u8] = b"\"<>`";

impl RawTarget {
    /// A path with its query, as it is to be written.
    pub fn new(target: impl Into<Bytes>) -> Self {
        Self(target.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The target without its fragment, as it came and as a URI has it. `None` if it is no path, or has nothing to
    /// be encoded. Whoever reads the URI sees what whoever decodes the target sees.
    pub(super) fn encode(target: &Bytes) -> Option<(Self, Bytes)> {
        let end = memchr::memchr(b'#', target).unwrap_or(target.len());
        let raw = target.slice(..end);
        if !raw.starts_with(b"/") || !raw.iter().any(|byte| RAW.contains(byte)) {
            return None;
        }
        let mut encoded = Vec::with_capacity(raw.len() + 16);
        for byte in &raw {
            match byte {
                b'"' => encoded.extend_from_slice(b"%22"),
                b'<' => encoded.extend_from_slice(b"%3C"),
                b'>' => encoded.extend_from_slice(b"%3E"),
                b'`' => encoded.extend_from_slice(b"%60"),
                other => encoded.push(*other),
            }
        }
        Some((Self(raw), encoded.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_kept_beside_what_a_uri_can_hold() {
        let of = |target: &'static str| RawTarget::encode(&Bytes::from_static(target.as_bytes()));
        let (raw, encoded) = of("/v1/<a>?q=\"x\"&`#<f>").unwrap();
        assert_eq!(raw.as_bytes(), b"/v1/<a>?q=\"x\"&`");
        assert_eq!(encoded, "/v1/%3Ca%3E?q=%22x%22&%60");
        assert!(http::Uri::from_maybe_shared(encoded).is_ok());
        for other in ["/v1/a?q", "http://a/<b>", "<", "*", "", "/#<"] {
            assert_eq!(of(other), None, "{other:?}");
        }
    }
}
