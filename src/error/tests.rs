use std::collections::HashSet;
use std::error::Error as _;
use std::io;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use super::{Blame, Cause, Detail, Error, Kind, Side};

const ID: HeaderValue = HeaderValue::from_static("0123456789abcdef");

/// The kind after this one. Exhaustive, so that a new kind does not compile until it is listed here
/// and so put through every test below.
#[expect(clippy::too_many_lines, reason = "a line for each kind")]
fn after(kind: Kind) -> Option<Kind> {
    Some(match kind {
        Kind::NoRoute => Kind::ModelUnknown,
        Kind::ModelUnknown => Kind::ModelMissing,
        Kind::ModelMissing => Kind::ModelUnreadable("The model is \\ \"twice\"."),
        Kind::ModelUnreadable(_) => Kind::ModelCompressed,
        Kind::ModelCompressed => Kind::ModelsUnknown,
        Kind::ModelsUnknown => Kind::ForeignOrigin,
        Kind::ForeignOrigin => Kind::ForeignHost,
        Kind::ForeignHost => Kind::InvalidKey("This key is not known."),
        Kind::InvalidKey(_) => Kind::RouteNotAllowed,
        Kind::RouteNotAllowed => Kind::ModelNotAllowed,
        Kind::ModelNotAllowed => Kind::EventUnfit("An event's id must be short."),
        Kind::EventUnfit(_) => Kind::EventMediaType,
        Kind::EventMediaType => Kind::EventTooLarge,
        Kind::EventTooLarge => Kind::EventMethod,
        Kind::EventMethod => Kind::PublishNotAllowed,
        Kind::PublishNotAllowed => Kind::SubscribeNotAllowed,
        Kind::SubscribeNotAllowed => Kind::EventIdTaken,
        Kind::EventIdTaken => Kind::EventNamesFull,
        Kind::EventNamesFull => Kind::EventSubscribersFull,
        Kind::EventSubscribersFull => Kind::SubscriberLagged,
        Kind::SubscriberLagged => Kind::RateLimited,
        Kind::RateLimited => Kind::QuotaExceeded,
        Kind::QuotaExceeded => Kind::LimitsUnavailable,
        Kind::LimitsUnavailable => Kind::StreamNotFound,
        Kind::StreamNotFound => Kind::BadCursor("The offset is no number."),
        Kind::BadCursor(_) => Kind::StreamOffsetLost,
        Kind::StreamOffsetLost => Kind::StreamLagged,
        Kind::StreamLagged => Kind::StreamStopped,
        Kind::StreamStopped => Kind::StreamAbandoned,
        Kind::StreamAbandoned => Kind::SharedStoreLost,
        Kind::SharedStoreLost => Kind::NoTls,
        Kind::NoTls => Kind::MethodRefused,
        Kind::MethodRefused => Kind::UpgradeUnsupported,
        Kind::UpgradeUnsupported => Kind::HeadTooLarge,
        Kind::HeadTooLarge => Kind::TooManyHeaders,
        Kind::TooManyHeaders => Kind::UpstreamHeadLimit,
        Kind::UpstreamHeadLimit => Kind::TrailersTooLarge,
        Kind::TrailersTooLarge => Kind::TargetTooLong,
        Kind::TargetTooLong => Kind::BadRequest("Two \"Host\" headers.\\"),
        Kind::BadRequest(_) => Kind::HeadSlow,
        Kind::HeadSlow => Kind::BodyIdle,
        Kind::BodyIdle => Kind::BodySlow,
        Kind::BodySlow => Kind::ClientGone,
        Kind::ClientGone => Kind::ClientWriteStall,
        Kind::ClientWriteStall => Kind::ClientMemory,
        Kind::ClientMemory => Kind::ControlFlood,
        Kind::ControlFlood => Kind::CancelFlood,
        Kind::CancelFlood => Kind::ClientDeadline,
        Kind::ClientDeadline => Kind::Busy,
        Kind::Busy => Kind::RouteBusy,
        Kind::RouteBusy => Kind::UpstreamBusy,
        Kind::UpstreamBusy => Kind::UpstreamRateLimited,
        Kind::UpstreamRateLimited => Kind::TooManyConnections,
        Kind::TooManyConnections => Kind::MemoryShort,
        Kind::MemoryShort => Kind::AllEjected,
        Kind::AllEjected => Kind::Draining,
        Kind::Draining => Kind::PoolQueueFull,
        Kind::PoolQueueFull => Kind::PoolQueueTimeout,
        Kind::PoolQueueTimeout => Kind::LocalLimit,
        Kind::LocalLimit => Kind::ConnectTimeout,
        Kind::ConnectTimeout => Kind::ConnectRefused,
        Kind::ConnectRefused => Kind::Dns,
        Kind::Dns => Kind::Tls,
        Kind::Tls => Kind::UpstreamHandshake,
        Kind::UpstreamHandshake => Kind::HeadTimeout,
        Kind::HeadTimeout => Kind::FirstFrameTimeout,
        Kind::FirstFrameTimeout => Kind::GapTimeout,
        Kind::GapTimeout => Kind::UpstreamReset,
        Kind::UpstreamReset => Kind::UpstreamClosed,
        Kind::UpstreamClosed => Kind::UpstreamGoaway,
        Kind::UpstreamGoaway => Kind::UpstreamProtocol,
        Kind::UpstreamProtocol => Kind::UpstreamInterim,
        Kind::UpstreamInterim => Kind::UpgradeRefused,
        Kind::UpgradeRefused => Kind::AnswerHeadTooLarge,
        Kind::AnswerHeadTooLarge => Kind::UpstreamCut,
        Kind::UpstreamCut => Kind::StreamCut,
        Kind::StreamCut => Kind::Internal,
        Kind::Internal => return None,
    })
}

fn all() -> impl Iterator<Item = Kind> {
    std::iter::successors(Some(Kind::NoRoute), |kind| after(*kind))
}

/// The statuses as promised, told apart from the table that makes them.
fn promised(kind: Kind) -> &'static [u16] {
    match (kind.side(), kind.outcome()) {
        _ if kind == Kind::Internal => &[500],
        _ if matches!(kind, Kind::RouteBusy | Kind::UpstreamRateLimited) => &[429],
        _ if matches!(kind, Kind::RateLimited | Kind::QuotaExceeded) => &[429],
        _ if matches!(kind, Kind::EventNamesFull | Kind::EventSubscribersFull) => &[429],
        (Side::Client, Blame::Refused) => {
            &[400, 401, 403, 404, 405, 409, 410, 413, 414, 415, 431, 501]
        }
        (Side::Client, Blame::Timeout) => &[408, 499],
        (Side::Client, Blame::Client) => &[499],
        (Side::Upstream, Blame::Timeout) => &[504],
        (Side::Upstream, Blame::Upstream) => &[502],
        (Side::Proxy, Blame::Refused) => &[503],
        other => panic!("{kind:?} is {other:?}, which makes no sense"),
    }
}

#[test]
fn every_kind_has_the_status_of_its_side_and_outcome() {
    assert_eq!(all().count(), 78);
    for kind in all() {
        assert!(promised(kind).contains(&kind.status().as_u16()), "{kind:?}: {}", kind.status());
    }
}

#[test]
fn every_kind_is_told_in_openais_shape() {
    for kind in all() {
        let (status, headers, body) = Error::new(kind).response_parts(&ID);
        assert_eq!(status, kind.status());
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["content-length"], body.len().to_string().as_str());
        assert_eq!(headers["x-firstbyte-request-id"], ID);
        assert_eq!(headers["x-request-id"], ID);
        let json: Value = serde_json::from_slice(&body).unwrap();
        let keys: Vec<_> = json["error"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["message", "type", "param", "code"]);
        let usual = kind.usual_cause().map_or_else(|| kind.message(), Cause::message);
        assert_eq!(json["error"]["message"], usual);
        assert_eq!(json["error"]["code"], kind.code());
        assert!(json["error"]["param"].is_null());
        let of_client = kind.side() == Side::Client;
        let class = match status.as_u16() {
            429 if kind == Kind::QuotaExceeded => "insufficient_quota",
            429 => "rate_limit_error",
            _ if of_client => "invalid_request_error",
            _ => "server_error",
        };
        assert_eq!(json["error"]["type"], class, "{kind:?}");
    }
}

#[test]
fn codes_are_distinct_and_messages_are_sentences() {
    let codes: HashSet<_> = all().map(Kind::code).collect();
    assert_eq!(codes.len(), all().count());
    for kind in all().filter(|kind| !matches!(kind, Kind::BadRequest(_) | Kind::InvalidKey(_))) {
        assert!(kind.message().ends_with('.'), "{kind:?}");
        assert!(kind.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{kind:?}");
    }
}

#[test]
fn every_proxy_status_names_a_registered_error_and_parses() {
    let registered = "dns_timeout dns_error destination_not_found destination_unavailable \
        destination_ip_prohibited destination_ip_unroutable connection_refused \
        connection_terminated connection_timeout connection_read_timeout connection_write_timeout \
        connection_limit_reached tls_protocol_error tls_certificate_error tls_alert_received \
        http_request_error http_request_denied http_response_incomplete \
        http_response_header_section_size http_response_header_size http_response_body_size \
        http_response_trailer_section_size http_response_trailer_size \
        http_response_transfer_coding http_response_content_coding http_response_timeout \
        http_upgrade_failed http_protocol_error proxy_internal_response proxy_internal_error \
        proxy_configuration_error proxy_loop_detected";
    let causes = Cause::ALL.map(|cause| Error::new(Kind::UpstreamClosed).because(cause));
    for error in all().map(Error::new).chain(causes) {
        let (_, headers, _) = error.response_parts(&ID);
        let value = headers["proxy-status"].to_str().unwrap();
        let rest = value.strip_prefix("firstbyte; error=").unwrap();
        let (token, details) = rest.split_once("; details=").unwrap();
        assert!(registered.split_whitespace().any(|known| known == token), "{token}");
        let inner = details.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        let plain = inner.replace("\\\\", "\0").replace("\\\"", "\u{1}");
        assert!(!plain.contains(['"', '\\']), "{value}");
        let unescaped = plain.replace('\0', "\\").replace('\u{1}', "\"");
        let word = error.cause().map_or(String::new(), |cause| format!("{}: ", cause.word()));
        assert_eq!(unescaped, word + error.message());
    }
}

#[test]
fn only_our_own_shortages_say_when_to_come_back() {
    for kind in all() {
        let (status, headers, _) = Error::new(kind).response_parts(&ID);
        let short = kind != Kind::QuotaExceeded
            && [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        assert_eq!(headers.contains_key("retry-after"), short, "{kind:?}");
        assert_eq!(headers.contains_key("retry-after-ms"), short, "{kind:?}");
        if short {
            assert_eq!(headers["retry-after"], "1");
            assert_eq!(headers["retry-after-ms"], "1000");
            assert!(!headers.contains_key("x-should-retry"), "{kind:?}");
        }
    }
}

/// The SDKs retry 408, 409, 429 and 5xx of themselves, and nothing else.
#[test]
fn a_request_that_can_only_fail_again_is_not_retried() {
    for kind in all() {
        let (status, headers, _) = Error::new(kind).response_parts(&ID);
        let theirs =
            [400, 401, 403, 404, 405, 409, 410, 413, 414, 415, 431, 501].contains(&status.as_u16());
        let hopeless = theirs
            || kind == Kind::QuotaExceeded
            || kind.usual_cause().is_some_and(|cause| !cause.heals());
        let said = headers.get("x-should-retry").map(HeaderValue::as_bytes);
        assert_eq!(said, hopeless.then_some(&b"false"[..]), "{kind:?}");
    }
}

#[test]
fn what_is_known_of_one_case_takes_the_place_of_the_tables_words() {
    let detail = Detail {
        message: "The limit of client app-a is reached.".into(),
        openai_type: Some("requests"),
        retry_after: Some(Duration::from_micros(1_500_001)),
        headers: vec![(
            HeaderName::from_static("x-ratelimit-limit-requests"),
            HeaderValue::from_static("60"),
        )],
    };
    let (_, headers, body) = Error::new(Kind::RateLimited).told(detail).response_parts(&ID);
    let json: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(json["error"]["message"], "The limit of client app-a is reached.");
    assert_eq!(json["error"]["type"], "requests");
    assert_eq!(
        (&headers["retry-after"], &headers["retry-after-ms"]),
        (&"2".parse().unwrap(), &"1501".parse().unwrap())
    );
    assert_eq!(headers["x-ratelimit-limit-requests"], "60");
}

#[test]
fn a_401_names_how_to_prove_who_asks() {
    let (_, headers, _) =
        Error::new(Kind::InvalidKey("This key is not known.")).response_parts(&ID);
    assert_eq!(headers["www-authenticate"], "Bearer");
}

#[test]
fn every_502_and_504_has_a_cause_and_nothing_of_the_clients_has_one() {
    for kind in all() {
        let upstreams = [502, 504].contains(&kind.status().as_u16());
        assert_eq!(Error::new(kind).cause().is_some(), upstreams, "{kind:?}");
    }
}

#[test]
fn causes_are_distinct_words_and_sentences_that_say_to_retry_only_where_it_can_help() {
    let words: HashSet<_> = Cause::ALL.map(Cause::word).into();
    assert_eq!(words.len(), Cause::ALL.len());
    for cause in Cause::ALL {
        let (word, message) = (cause.word(), cause.message());
        assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
        assert!(message.ends_with('.') && message.is_ascii(), "{word}: {message}");
        assert_eq!(message.contains("retry later"), cause.heals(), "{word}: {message}");
        let error = Error::new(Kind::UpstreamClosed).because(cause);
        assert_eq!(error.should_retry(), (!cause.heals()).then_some(false), "{word}");
    }
}

/// `docs/errors.md` is what an operator searches for a word of the log.
#[test]
fn every_cause_is_described_in_the_documentation() {
    let described = include_str!("../../docs/errors.md");
    let row = |cause: Cause| {
        let (word, message) = (cause.word(), cause.message());
        let retry = if cause.heals() { "yes" } else { "no" };
        format!("| `{word}` | `{}` | {retry} | {message} |\n", cause.proxy_status())
    };
    let table: String = Cause::ALL.map(row).concat();
    assert!(described.contains(&table), "the table in docs/errors.md is to be:\n{table}");
}

#[test]
fn a_method_refused_is_told_what_is_allowed() {
    let (_, headers, _) = Error::new(Kind::MethodRefused).response_parts(&ID);
    assert!(headers["allow"].to_str().unwrap().contains("POST"));
}

#[test]
fn display_has_one_level_and_the_answer_never_has_the_cause() {
    let cause = io::Error::other("/etc/keys/sk-canary at 10.0.0.7");
    let error = Error::with(Kind::Tls, cause).because(Cause::TlsExpired).at("10.0.0.7:443");
    assert_eq!(error.to_string(), Cause::TlsExpired.message());
    assert!(error.found().unwrap().contains("10.0.0.7:443: /etc/keys"));
    assert!(error.source().unwrap().to_string().contains("sk-canary"));
    let (_, headers, body) = error.response_parts(&ID);
    assert!(!format!("{headers:?}{body:?}").contains("sk-canary"));
}

#[test]
fn a_connect_that_fails_for_want_of_our_own_sockets_is_not_blamed_on_the_upstream() {
    let of = |code| Kind::of_connect(&io::Error::from_raw_os_error(code));
    let (emfile, eaddrnotavail, econnrefused, etimedout, ehostunreach) = (24, 99, 111, 110, 113);
    assert_eq!(of(emfile), Kind::LocalLimit);
    assert_eq!(of(eaddrnotavail), Kind::LocalLimit);
    assert_eq!(of(econnrefused), Kind::ConnectRefused);
    assert_eq!(of(etimedout), Kind::ConnectTimeout);
    assert_eq!(of(ehostunreach), Kind::ConnectRefused);
}
