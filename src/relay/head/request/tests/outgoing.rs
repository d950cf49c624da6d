//! What an upstream is sent in place of the client's credentials.

use http::header::AUTHORIZATION;

use super::*;

fn outgoing(outgoing: Outgoing) -> Upstream {
    Upstream { outgoing, ..upstream() }
}

fn in_header(name: &'static str) -> Outgoing {
    Outgoing { auth_header: HeaderName::from_static(name), ..Outgoing::default() }
}

#[test]
fn a_key_in_a_header_of_its_own_stands_alone_and_no_other_of_the_clients_passes() {
    for name in ["api-key", "x-api-key", "x-goog-api-key", "x-functions-key"] {
        let lines = [(name, "theirs"), (name, "second"), ("authorization", THEIRS)];
        let request = sent(&outgoing(in_header(name)), &lines, Version::HTTP_2);
        assert_eq!(values(&request, name), ["sk-canary-ours"]);
        assert!(values(&request, "authorization").is_empty());
        assert!(!format!("{request:?}").contains("canary"), "not even in Debug");
    }
}

#[test]
fn headers_of_the_operators_take_the_place_of_the_clients() {
    let name = HeaderName::from_static;
    let upstream = Upstream {
        key: None,
        ..outgoing(Outgoing {
            headers: vec![
                (name("x-team"), "sk-canary-team".into()),
                (AUTHORIZATION, "Basic c2stY2FuYXJ5".into()),
            ],
            ..Outgoing::default()
        })
    };
    let lines = [("x-team", "theirs"), ("authorization", THEIRS), ("x-mine", "1")];
    let request = sent(&upstream, &lines, Version::HTTP_11);
    assert_eq!(values(&request, "x-team"), ["sk-canary-team"]);
    assert_eq!(values(&request, "authorization"), ["Basic c2stY2FuYXJ5"]);
    assert_eq!(values(&request, "x-mine"), ["1"]);
    assert!(!format!("{request:?}").contains("canary"), "not even in Debug");
}

#[test]
fn what_the_operator_lets_through_passes_and_nothing_beside_it() {
    let letting = Outgoing {
        forward_headers: vec![HeaderName::from_static("cookie"), HeaderName::from_static("x-a_b")],
        ..Outgoing::default()
    };
    let lines = [("cookie", "sk-canary-a"), ("x-api-key", "k"), ("x-a_b", "1"), ("expect", "x")];
    let request = sent(&outgoing(letting), &lines, Version::HTTP_2);
    assert_eq!(values(&request, "cookie"), ["sk-canary-a"]);
    assert!(!format!("{request:?}").contains("canary"), "it is a secret all the same");
    for gone in ["x-api-key", "x-a_b", "expect"] {
        assert!(values(&request, gone).is_empty(), "{gone}");
    }
}

#[test]
fn a_credential_spelled_with_underscores_goes_where_such_names_pass() {
    let lines = [("x_api_key", "k"), ("x_team", "1")];
    let passing = Upstream { underscores_in_headers: true, ..upstream() };
    let request = sent(&passing, &lines, Version::HTTP_2);
    assert!(values(&request, "x_api_key").is_empty());
    assert_eq!(values(&request, "x_team"), ["1"]);
    assert!(request.extensions().is_empty(), "it did not go for its underscores");
}

#[test]
fn the_query_is_the_urls_then_the_operators_then_encoded() {
    let upstream = outgoing(Outgoing {
        url_query: Some("api-version=v1".into()),
        query: vec![("x y".to_owned(), "a&b".into())],
        ..Outgoing::default()
    });
    for version in [Version::HTTP_2, Version::HTTP_11] {
        let request = sent(&upstream, &[], version);
        assert_eq!(request.uri().query(), Some("q=1&api-version=v1&x%20y=a%26b"));
    }
    let made = head(&upstream);
    assert_eq!(made.hide_query("q=1&x%20y=a%26b&api-version=v1").as_deref(), Some("q=1"));
    assert!(!format!("{made:?}").contains("a%26b"));
    assert!(
        made.most(&client(&[]), HeadScan::default()).bytes >= "api-version=v1&x%20y=a%26b".len()
    );
}
