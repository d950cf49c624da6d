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
    let theirs = status == 501 || (400..500).contains(&status) && ![408, 429].contains(&status);
    let heals = answer.body().windows(11).any(|text| text == b"retry later");
    let hopeless = theirs || ([502, 504].contains(&status) && !heals);
    assert_eq!(answer.header("x-should-retry"), hopeless.then_some("false"), "{code}");
    assert_eq!(cause(answer).is_some(), [502, 504].contains(&status), "{proxy_status}");
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
        400..=499 | 501 => "invalid_request_error",
        _ => "server_error",
    };
    assert_eq!(error["type"], kind);
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10));
}

/// The word in `Proxy-Status` for why an upstream failed.
pub(crate) fn cause(answer: &Answer) -> Option<&str> {
    let (_, details) = answer.header("proxy-status")?.split_once("; details=\"")?;
    let (word, _) = details.split_once(": ")?;
    word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_').then_some(word)
}

/// The same as [`assert_refused`] for an upstream's failure, and why it failed.
pub(crate) fn assert_failed(answer: &Answer, status: u16, code: &str, why: &str) {
    assert_refused(answer, status, code);
    assert_eq!(cause(answer), Some(why), "{answer:?}");
}
