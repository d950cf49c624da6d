use config::{
    Dns, Forwarded, HealthPolicy, Outgoing, Pool, Protocol, Redirects, Upstream, UpstreamDeadlines,
    UpstreamTls,
};
use http::Request;
use http::header::HeaderName;

use super::ambiguity::{CODING, NO_HOST, OLD_CODING, TWO_FRAMINGS, TWO_HOSTS, TWO_LENGTHS};
use super::*;

mod arbitrary;
mod outgoing;

const KEY: &str = "sk-canary-ours";
const THEIRS: &str = "Bearer sk-canary-theirs";

pub(in crate::relay::head) fn upstream() -> Upstream {
    Upstream {
        name: "openai".to_owned(),
        scheme: config::Scheme::Https,
        host: "api.openai.com".to_owned(),
        port: 443,
        socket: None,
        proxy: None,
        base_path: "/v1".to_owned(),
        key: Some(KEY.to_owned().into()),
        forward_authorization: false,
        outgoing: Outgoing::default(),
        redirects: Redirects::Rewrite,
        forwarded: Forwarded::Off,
        underscores_in_headers: false,
        organization: Some("org-ours".to_owned()),
        project: None,
        host_header: None,
        ca_file: None,
        tls: UpstreamTls::default(),
        protocol: Protocol::Auto,
        pool: Pool::default(),
        deadlines: UpstreamDeadlines::default(),
        dns: Dns::default(),
        health: HealthPolicy::default(),
        probe: None,
        streams: None,
        adapt: None,
    }
}

fn keyless(forward_authorization: bool) -> Upstream {
    Upstream { key: None, forward_authorization, ..upstream() }
}

fn head(upstream: &Upstream) -> UpstreamHead {
    UpstreamHead::new(upstream, true).unwrap()
}

fn client(lines: &[(&str, &str)]) -> Parts {
    let mut request = Request::post("/v1/chat/completions?q=1").header("host", "proxy:8080");
    for (name, value) in lines {
        request = request.header(*name, value.as_bytes());
    }
    request.body(()).unwrap().into_parts().0
}

fn made(head: &UpstreamHead, client: Parts, version: Version) -> Result<Request<()>, Error> {
    let scan = HeadScan::of(&client.headers);
    head.request(client, scan, "/v1", version)
}

fn sent(upstream: &Upstream, lines: &[(&str, &str)], version: Version) -> Request<()> {
    made(&head(upstream), client(lines), version).unwrap()
}

fn values<'a>(request: &'a Request<()>, name: &str) -> Vec<&'a str> {
    request.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

fn refusal(parts: Parts) -> Kind {
    made(&head(&upstream()), parts, Version::HTTP_2).unwrap_err().kind()
}

#[test]
fn over_http2_the_authority_is_the_upstreams_and_there_is_no_host() {
    let request = sent(&upstream(), &[], Version::HTTP_2);
    assert_eq!(request.uri(), "https://api.openai.com/v1/chat/completions?q=1");
    assert_eq!(request.version(), Version::HTTP_2);
    assert!(values(&request, "host").is_empty());
}

#[test]
fn over_http1_the_target_is_a_path_and_the_host_is_the_upstreams() {
    let local = Upstream {
        scheme: config::Scheme::Http,
        host: "::1".to_owned(),
        port: 8000,
        base_path: String::new(),
        ..upstream()
    };
    let request = sent(&local, &[], Version::HTTP_11);
    assert_eq!(request.uri(), "/v1/chat/completions?q=1");
    assert!(request.uri().authority().is_none());
    assert_eq!(values(&request, "host"), ["[::1]:8000"]);
}

#[test]
fn our_key_replaces_the_clients_with_all_that_belongs_to_it() {
    let lines = [
        ("authorization", THEIRS),
        ("authorization", "Bearer second"),
        ("openai-organization", "org-theirs"),
        ("openai-project", "proj-theirs"),
        ("api-key", "theirs"),
    ];
    let request = sent(&upstream(), &lines, Version::HTTP_2);
    assert_eq!(values(&request, "authorization"), ["Bearer sk-canary-ours"]);
    assert_eq!(values(&request, "openai-organization"), ["org-ours"]);
    assert!(values(&request, "openai-project").is_empty());
    assert!(values(&request, "api-key").is_empty());
}

#[test]
fn without_a_key_the_clients_passes_only_if_the_operator_said_so() {
    let lines = [("authorization", THEIRS), ("openai-project", "proj-theirs")];
    let forwarded = sent(&keyless(true), &lines, Version::HTTP_2);
    assert_eq!(values(&forwarded, "authorization"), [THEIRS]);
    assert_eq!(values(&forwarded, "openai-project"), ["proj-theirs"]);
    assert!(!format!("{forwarded:?}").contains("canary"), "not even in Debug");
    let dropped = sent(&keyless(false), &lines, Version::HTTP_2);
    assert!(values(&dropped, "authorization").is_empty());
    assert!(values(&dropped, "openai-project").is_empty());
    assert!(values(&dropped, "openai-organization").is_empty(), "ours goes with our key");
}

#[test]
fn a_client_cannot_name_our_key_away() {
    for spelling in ["authorization", "Authorization, host", ", \tAUTHORIZATION\t;", "close"] {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let lines = [("connection", spelling), ("connection", "authorization, te, via")];
            let request = sent(&upstream(), &lines, version);
            assert_eq!(values(&request, "authorization"), ["Bearer sk-canary-ours"]);
            assert_eq!(values(&request, "via"), ["1.1 firstbyte"]);
            assert!(values(&request, "connection").is_empty());
        }
    }
}

#[test]
fn what_a_client_says_of_forwarding_and_of_us_is_dropped_and_the_rest_passes() {
    let lines = [
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-anything", "x"),
        ("forwarded", "for=1.2.3.4"),
        ("x-firstbyte-request-id", "forged"),
        ("expect", "100-continue"),
        ("accept-encoding", "gzip, br"),
        ("accept-encoding", "zstd"),
        ("traceparent", "00-a-b-01"),
        ("x-request-id", "theirs"),
        ("idempotency-key", "k"),
    ];
    let request = sent(&upstream(), &lines, Version::HTTP_2);
    let mut names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let expected = [
        "accept-encoding",
        "authorization",
        "idempotency-key",
        "openai-organization",
        "traceparent",
        "via",
        "x-request-id",
    ];
    assert_eq!(names, expected);
    assert_eq!(values(&request, "accept-encoding"), ["identity"]);
}

#[test]
fn via_names_the_version_that_the_client_spoke_after_the_hops_before() {
    let mut parts = client(&[("via", "1.0 edge")]);
    parts.version = Version::HTTP_2;
    let request = made(&head(&upstream()), parts, Version::HTTP_11).unwrap();
    assert_eq!(values(&request, "via"), ["1.0 edge", "2 firstbyte"]);
    let silent = UpstreamHead::new(&upstream(), false).unwrap();
    let request = made(&silent, client(&[]), Version::HTTP_11).unwrap();
    assert!(values(&request, "via").is_empty());
}

#[test]
fn te_passes_to_http2_as_trailers_and_to_http1_not_at_all() {
    let te = [("te", "deflate, trailers")];
    assert_eq!(values(&sent(&upstream(), &te, Version::HTTP_2), "te"), ["trailers"]);
    assert!(values(&sent(&upstream(), &te, Version::HTTP_11), "te").is_empty());
}

#[test]
fn cookies_split_by_http2_are_one_line_on_http1() {
    let crumbs = [("cookie", "a=1"), ("cookie", "b=2")];
    let forwarding = keyless(true);
    assert_eq!(values(&sent(&forwarding, &crumbs, Version::HTTP_11), "cookie"), ["a=1; b=2"]);
    assert_eq!(values(&sent(&forwarding, &crumbs, Version::HTTP_2), "cookie"), ["a=1", "b=2"]);
}

#[test]
fn connect_and_trace_are_refused() {
    for method in [Method::CONNECT, Method::TRACE] {
        let mut parts = client(&[]);
        parts.method = method;
        assert_eq!(refusal(parts), Kind::MethodRefused);
    }
}

#[test]
fn a_head_that_could_mean_two_requests_is_refused() {
    for (lines, why) in [
        (&[("host", "other")][..], TWO_HOSTS),
        (&[("content-length", "5"), ("content-length", "6")], TWO_LENGTHS),
        (&[("content-length", "5"), ("transfer-encoding", "chunked")], TWO_FRAMINGS),
        (&[("transfer-encoding", "gzip, chunked")], CODING),
    ] {
        assert_eq!(refusal(client(lines)), why);
    }
    let mut parts = client(&[("transfer-encoding", "chunked")]);
    parts.version = Version::HTTP_10;
    assert_eq!(refusal(parts), OLD_CODING);
    let mut parts = client(&[]);
    parts.headers.remove(HOST);
    assert_eq!(refusal(parts.clone()), NO_HOST);
    parts.version = Version::HTTP_2;
    assert!(made(&head(&upstream()), parts, Version::HTTP_2).is_ok());
}

#[test]
fn a_length_said_twice_alike_is_said_once() {
    let lines =
        [("content-length", "5"), ("content-length", "5"), ("connection", "content-length")];
    assert_eq!(values(&sent(&upstream(), &lines, Version::HTTP_2), "content-length"), ["5"]);
}

#[test]
fn debug_hides_every_credential() {
    let head = head(&upstream());
    let request = made(&head, client(&[("authorization", THEIRS)]), Version::HTTP_2);
    let printed = format!("{head:?} {:?}", request.unwrap());
    assert!(printed.contains("api.openai.com"), "{printed}");
    assert!(!printed.contains("canary"), "{printed}");
}

#[test]
fn a_key_that_is_no_header_value_is_refused_without_being_told() {
    let broken = Upstream { key: Some("sk-canary\n".to_owned().into()), ..upstream() };
    let error = UpstreamHead::new(&broken, true).unwrap_err();
    assert_eq!(error.field, "key");
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[test]
fn names_with_underscores_go_unless_they_are_to_pass_and_are_counted_by_line() {
    let lines = [
        ("Transfer_Encoding", "chunked"),
        ("content_length", "5"),
        ("OpenAI_Organization", "org-theirs"),
        ("x_a", "1"),
        ("x_a", "2"),
        ("_", "3"),
        ("x-a", "4"),
    ];
    for version in [Version::HTTP_2, Version::HTTP_11] {
        let request = sent(&upstream(), &lines, version);
        assert!(request.headers().keys().all(|name| !name.as_str().contains('_')));
        assert_eq!(values(&request, "x-a"), ["4"]);
        assert_eq!(request.extensions().get(), Some(&Withheld(6)));
        let passing = Upstream { underscores_in_headers: true, ..upstream() };
        let request = sent(&passing, &lines, version);
        assert_eq!(values(&request, "x_a"), ["1", "2"]);
        assert!(request.extensions().is_empty());
        assert!(sent(&upstream(), &[("x-a", "4")], version).extensions().is_empty());
    }
}
