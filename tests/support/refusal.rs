//! What every error of our own has on the wire.

use super::message::Answer;

/// Asserts that an answer is ours and says `code`: in the API's shape for the SDKs, in `Proxy-Status`
/// (RFC 9209) for everybody else, with an id, and with advice on trying again that fits.
pub(crate) fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let proxy_status = answer.header("proxy-status").expect("Proxy-Status");
    assert!(proxy_status.starts_with("firstbyte; error="), "{proxy_status}");
    let id = answer.header("x-firstbyte-request-id").expect("an id");
    assert!(id.len() > 8 && answer.header("x-request-id") == Some(id), "{answer:?}");
    let theirs = (400..500).contains(&status) && ![408, 429].contains(&status);
    assert_eq!(answer.header("x-should-retry"), theirs.then_some("false"), "{code}");
    let shortage = [429, 503].contains(&status);
    assert_eq!(answer.header("retry-after"), shortage.then_some("1"), "{code}");
    assert_eq!(answer.header("retry-after-ms"), shortage.then_some("1000"), "{code}");
    let body = answer.json();
    let error = body.get("error").and_then(|error| error.as_object()).expect("an error");
    let fields: Vec<_> = error.keys().map(String::as_str).collect();
    assert_eq!(fields, ["message", "type", "param", "code"]);
    assert_eq!((&error["code"], error["param"].is_null()), (&code.into(), true));
    let kind = match status {
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    };
    assert_eq!(error["type"], kind);
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10));
}
