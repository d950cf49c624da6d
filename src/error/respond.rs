//! An error as an answer: the JSON that the SDKs read, RFC 9209's `Proxy-Status`, retry headers.

use bytes::Bytes;
use http::header::{
    ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderName, StatusCode};
use serde_json::json;

use super::{Error, Kind};

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const OUR_ID: HeaderName = HeaderName::from_static("x-firstbyte-request-id");

/// RFC 9110, section 15.5.6: a 405 names what is allowed.
const ALLOWED: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
const OF_EVENTS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");

impl Error {
    /// The whole answer. The cause (`source`) stays out of it: it may name hosts and files.
    ///
    /// `x-request-id` is set too, since no upstream's is there to be kept and the SDKs show only
    /// that one. An answer to HEAD must leave the body out.
    pub fn response_parts(&self, request_id: &HeaderValue) -> (StatusCode, HeaderMap, Bytes) {
        let told = self.detail.as_ref().map(|detail| &*detail.message);
        self.response_parts_saying(told.unwrap_or(self.message()), request_id)
    }

    /// The same with a message that says more than the kind alone can: what was asked for, and what there is.
    pub fn response_parts_saying(
        &self,
        message: &str,
        request_id: &HeaderValue,
    ) -> (StatusCode, HeaderMap, Bytes) {
        let kind = self.kind();
        let body = body(self, message);
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(PROXY_STATUS, proxy_status(self, message));
        headers.insert(REQUEST_ID, request_id.clone());
        headers.insert(OUR_ID, request_id.clone());
        match kind {
            Kind::MethodRefused => drop(headers.insert(ALLOW, ALLOWED)),
            Kind::EventMethod => drop(headers.insert(ALLOW, OF_EVENTS)),
            _ => {}
        }
        if let Some(retry) = self.should_retry() {
            let text = if retry { "true" } else { "false" };
            headers.insert(SHOULD_RETRY, HeaderValue::from_static(text));
        }
        if let Kind::InvalidKey(_) = kind {
            // RFC 9110, section 11.6.1: a 401 names how to prove who asks.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let detail = self.detail.as_deref();
        for (name, value) in detail.map(|detail| &*detail.headers).unwrap_or_default() {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(after) = self.retry_after() {
            // Up, so that who comes back then is let in.
            let millis = after.as_nanos().div_ceil(1_000_000) as u64;
            headers.insert(RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
            headers.insert(RETRY_AFTER_MS, HeaderValue::from(millis));
        }
        (kind.status(), headers, body)
    }
}

/// The shape that the SDKs read; `param` is always null because no field of a body that we never parse is at fault.
fn body(error: &Error, message: &str) -> Bytes {
    let kind = error.kind();
    let value = json!({ "error": {
        "message": message,
        "type": error.detail.as_ref().and_then(|detail| detail.openai_type).unwrap_or(kind.openai_type()),
        "param": null,
        "code": kind.code(),
    }});
    Bytes::from(value.to_string())
}

/// RFC 9209, section 2: a list of one member. Ours is the only hop that knows this failure. `details` begins with the
/// cause's word, for machines, before the sentence.
fn proxy_status(error: &Error, message: &str) -> HeaderValue {
    let (token, details) = match error.cause() {
        Some(cause) => (cause.proxy_status(), format!("{}: {message}", cause.word())),
        None => (error.kind().proxy_status(), message.to_owned()),
    };
    let text = format!("firstbyte; error={token}; details={}", sf_string(&details));
    // Printable ASCII throughout; were it ever not, the bare member still says who answered.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("firstbyte"))
}

/// A structured-field string (RFC 8941, section 3.3.3): printable ASCII, `"` and `\` escaped. What
/// it cannot hold becomes `?`.
fn sf_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => out.push('?'),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::sf_string;

    #[test]
    fn quotes_and_backslashes_are_escaped_and_the_rest_of_the_world_is_replaced() {
        assert_eq!(sf_string(r#"a "b" \c"#), r#""a \"b\" \\c""#);
        assert_eq!(sf_string("é\r\n\u{7f}"), r#""????""#);
    }
}
