//! Whatever a client may send, in `Connection` above all.

use proptest::prelude::*;

use super::*;

/// Names that mean something to us, in any case, and some that do not.
fn name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "authorization",
        "openai-organization",
        "openai-project",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "proxy-authorization",
        "proxy-connection",
        "http2-settings",
        "accept-encoding",
        "x-forwarded-for",
        "x-firstbyte-x",
        "expect",
        "via",
        "cookie",
        "accept",
        "x-a",
        "x-b",
        "x-c",
    ]);
    prop_oneof![3 => known.prop_map(str::to_owned), 1 => "x-[a-z]{1,3}"]
}

/// A `Connection` value: names in any case and spacing, and junk between them.
fn connection() -> impl Strategy<Value = Vec<u8>> {
    let space = "[ \t]{0,2}";
    let option = prop_oneof![
        6 => (space, name(), any::<bool>(), space).prop_map(|(before, name, upper, after)| {
            let name = if upper { name.to_ascii_uppercase() } else { name };
            format!("{before}{name}{after}").into_bytes()
        }),
        1 => prop::collection::vec(prop_oneof![Just(b'"'), 0x80_u8..=0xff, Just(b';')], 0..4),
        1 => Just(b"Host, Content-Length, Authorization".to_vec()),
    ];
    prop::collection::vec(option, 0..40).prop_map(|options| options.join(&b","[..]))
}

fn line() -> impl Strategy<Value = (String, Vec<u8>)> {
    let value = prop_oneof![
        3 => "[ -~]{0,12}".prop_map(|text| text.trim().as_bytes().to_vec()),
        1 => prop::collection::vec(0x80_u8..=0xff, 1..8),
    ];
    prop_oneof![
        1 => connection().prop_map(|value| ("connection".to_owned(), value)),
        4 => (name().prop_filter("has a strategy of its own", |n| n != "connection"), value),
    ]
}

/// The rule told a second time and otherwise: what of the client's lines may arrive untouched.
fn survives(name: &str, lines: &[(String, Vec<u8>)]) -> bool {
    const NEVER: &str = "authorization openai-organization openai-project connection keep-alive te \
        trailer upgrade proxy-authorization proxy-connection http2-settings accept-encoding expect \
        via cookie host";
    let named = lines.iter().filter(|(n, _)| n == "connection").any(|(_, value)| {
        let text = String::from_utf8_lossy(value).to_ascii_lowercase();
        text.split(',').any(|option| option.trim_matches([' ', '\t']) == name)
    });
    let ours = name.starts_with("x-forwarded-") || name.starts_with("x-firstbyte-");
    !named && !ours && !NEVER.split_whitespace().any(|never| never == name)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_the_client_sends_the_upstream_sees_our_key_our_host_and_no_hop(
        lines in prop::collection::vec(line(), 0..60),
        http2 in any::<bool>(),
    ) {
        let mut parts = client(&[("content-length", "7"), ("authorization", THEIRS)]);
        for (name, value) in &lines {
            let name = HeaderName::try_from(name.as_str()).unwrap();
            parts.headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let version = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
        let request = made(&head(&upstream()), parts, version).unwrap();
        let headers = request.headers();

        let all = |name: &str| -> Vec<&[u8]> {
            headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
        };
        prop_assert_eq!(all("authorization"), [b"Bearer sk-canary-ours"]);
        prop_assert_eq!(all("openai-organization"), [b"org-ours"]);
        prop_assert_eq!(all("accept-encoding"), [b"identity"]);
        prop_assert_eq!(all("content-length"), [b"7"]);
        let hosts: Vec<&[u8]> = if http2 { vec![] } else { vec![b"api.openai.com"] };
        prop_assert_eq!(all("host"), hosts);
        prop_assert_eq!(request.uri().host(), http2.then_some("api.openai.com"));
        for gone in ["connection", "keep-alive", "proxy-connection", "proxy-authorization",
            "trailer", "transfer-encoding", "upgrade", "http2-settings", "openai-project"] {
            prop_assert!(!headers.contains_key(gone), "{}", gone);
        }
        prop_assert!(all("te").is_empty() || http2 && all("te") == [b"trailers"]);

        for name in headers.keys().map(HeaderName::as_str) {
            let expected: Vec<&[u8]> =
                lines.iter().filter(|(n, _)| n == name).map(|(_, value)| &value[..]).collect();
            if survives(name, &lines) && name != "content-length" {
                prop_assert_eq!(all(name), expected, "{}", name);
            }
        }
        for (name, _) in lines.iter().filter(|(name, _)| survives(name, &lines)) {
            prop_assert!(headers.contains_key(name.as_str()), "{} is lost", name);
        }
        let theirs = |value: &HeaderValue| value.as_bytes().ends_with(b"sk-canary-theirs");
        prop_assert!(!headers.values().any(theirs));
    }
}
