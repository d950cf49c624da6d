//! Web pages on a route with a `cors` section, judged as a browser judges (Fetch, sections 4.9 and 4.10).

use std::time::Duration;

use firstbyte::config::{Allowed, Config, Cors, Route};
use loadtest::upstream::{Builder, Script};

use crate::support::fixture::Fixture;
use crate::support::message::{Answer, Ask};
use crate::support::pairing::{CLIENTS, Client, Origin, upstream};

const CHAT: &str = "https://chat.example";
const OTHER: &str = "https://other.example";

fn cors(headers: &[&str], credentials: bool) -> Cors {
    Cors {
        origins: Allowed { any: false, names: vec![CHAT.to_owned()] },
        headers: headers.iter().map(|name| (*name).to_owned()).collect(),
        credentials,
        max_age: Duration::from_secs(60),
    }
}

/// `/v1` for chat's pages, `/open` as the whole file has it: for those of another origin.
fn routes(config: &mut Config, cors: Cors) {
    config.allowed_hosts = Allowed::default();
    config.allowed_origins = Allowed { any: false, names: vec![OTHER.to_owned()] };
    let target = config.routes[0].target;
    config.routes =
        vec![Route { cors: Some(cors), ..Route::new("/v1", target) }, Route::new("/open", target)];
}

fn each_client(cors: &Cors, test: impl Fn(&Fixture, &mut Client)) {
    let fixture = Origin::ClearHttp1.configured(answering(), |config| routes(config, cors.clone()));
    for speaks in CLIENTS {
        test(&fixture, &mut speaks.connect(&fixture));
    }
}

/// An upstream with a mind of its own about pages.
fn answering() -> Builder {
    let said = [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "x-request-id"),
        ("x-request-id", "req-1"),
        ("openai-processing-ms", "7"),
    ];
    upstream().respond(move |_| Script::new().answer(200, &said, "{}"))
}

fn from(origin: &str, ask: Ask) -> Ask {
    ask.header("origin", origin).header("sec-fetch-site", "cross-site")
}

fn preflight(origin: &str, path: &str, names: &str) -> Ask {
    from(origin, Ask::get(path).method("OPTIONS"))
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", names)
}

/// Whether a browser shows the answer to a page.
fn may_read(answer: &Answer, origin: &str, with_credentials: bool) -> bool {
    let said = answer.header_values("access-control-allow-origin");
    let credentials = answer.header_values("access-control-allow-credentials");
    match (&said[..], with_credentials) {
        (["*"], false) => true,
        ([one], false) => *one == origin,
        ([one], true) => *one == origin && credentials == ["true"],
        _ => false,
    }
}

/// Whether a browser then sends the request with these headers.
fn may_send(answer: &Answer, origin: &str, with_credentials: bool, names: &[&str]) -> bool {
    let listed = |header: &str| {
        let listed = answer.header(header).unwrap_or_default().to_ascii_lowercase();
        listed.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>()
    };
    let headers = listed("access-control-allow-headers");
    may_read(answer, origin, with_credentials)
        && (200..300).contains(&answer.status)
        && listed("access-control-allow-methods").contains(&"post".to_owned())
        && names.iter().all(|name| headers.contains(&(*name).to_owned()))
}

#[test]
fn a_preflight_is_answered_at_the_edge_by_the_route_s_own_rules() {
    each_client(&cors(&["authorization", "content-type"], false), |fixture, client| {
        let before = fixture.upstream.requests();
        let told = client.ask(&preflight(CHAT, "/v1/chat/completions", "authorization"));
        assert!(may_send(&told, CHAT, false, &["authorization", "content-type"]), "{told:?}");
        assert!(!may_send(&told, CHAT, false, &["x-other"]), "{told:?}");
        assert!(!may_send(&told, CHAT, true, &[]), "no cookies: {told:?}");
        assert_eq!(told.header("access-control-max-age"), Some("60"));
        let refused = client.ask(&preflight(OTHER, "/v1/chat/completions", "authorization"));
        assert_eq!(refused.status, 403, "the route's rules stand alone");
        assert!(!may_send(&refused, OTHER, false, &[]));
        let told = client.ask(&preflight(OTHER, "/open/x", "x-any, authorization"));
        assert!(may_send(&told, OTHER, false, &["x-any", "authorization"]), "{told:?}");
        assert_eq!(client.ask(&preflight(CHAT, "/open/x", "x")).status, 403);
        assert_eq!(fixture.upstream.requests(), before, "no upstream was asked");
    });
}

#[test]
fn answers_and_our_own_errors_are_readable_by_the_route_s_pages_alone() {
    each_client(&cors(&[], false), |fixture, client| {
        let answer = client.ask(&from(CHAT, Ask::post("/v1/x", "{}")));
        assert!(may_read(&answer, CHAT, false) && !may_read(&answer, CHAT, true), "{answer:?}");
        assert_eq!(answer.header("access-control-expose-headers"), Some("*"));
        assert_eq!(answer.header("vary"), Some("origin"));
        let lost = client.ask(&from(CHAT, Ask::get("/nowhere")));
        assert_eq!((lost.status, may_read(&lost, CHAT, false)), (404, true), "{lost:?}");
        let traced = client.ask(&from(CHAT, Ask::get("/v1/x").method("TRACE")));
        assert_eq!((traced.status, may_read(&traced, CHAT, false)), (405, true), "{traced:?}");
        let before = fixture.upstream.requests();
        let strange = client.ask(&from("https://evil.example", Ask::get("/v1/x")));
        assert_eq!(strange.status, 403);
        assert!(!may_read(&strange, "https://evil.example", false));
        let lost = client.ask(&from("https://evil.example", Ask::get("/nowhere")));
        assert!(!may_read(&lost, "https://evil.example", false), "{lost:?}");
        assert_eq!(fixture.upstream.requests(), before);
        let program = client.ask(&Ask::post("/v1/x", "{}"));
        assert_eq!(program.header("access-control-allow-origin"), Some("*"), "the upstream's word");
    });
}

#[test]
fn with_credentials_pages_may_send_cookies_and_read_every_header() {
    each_client(&cors(&[], true), |_, client| {
        let told = client.ask(&preflight(CHAT, "/v1/x", "content-type"));
        assert!(may_send(&told, CHAT, true, &["content-type"]), "{told:?}");
        let answer = client.ask(&from(CHAT, Ask::post("/v1/x", "{}").header("cookie", "a=1")));
        assert!(may_read(&answer, CHAT, true), "{answer:?}");
        // `*` is no wildcard there.
        let exposed = answer.header("access-control-expose-headers").expect("names");
        let exposed: Vec<_> = exposed.split(", ").collect();
        for name in ["x-request-id", "openai-processing-ms", "x-firstbyte-request-id"] {
            assert!(exposed.contains(&name), "{exposed:?}");
        }
        let lost = client.ask(&from(CHAT, Ask::get("/nowhere")));
        assert!(may_read(&lost, CHAT, true), "{lost:?}");
    });
}

/// What comes before the route's rules still does: a name that was made to lead to loopback.
#[test]
fn a_rebound_name_is_refused_whatever_the_route_says() {
    let open = Cors { origins: Allowed { any: true, names: vec!["*".into()] }, ..cors(&[], false) };
    each_client(&open, |fixture, client| {
        let rebound = from("http://evil.example", Ask::post("/v1/x", "{}"));
        if !client.is_http2() {
            let mut raw = crate::support::peers::http1_client::Http1::new(fixture.connect());
            raw.write(
                b"GET /v1/x HTTP/1.1\r\nhost: evil.example\r\norigin: http://evil.example\r\n\r\n",
            );
            assert_eq!(raw.answer(&Ask::get("/v1/x")).status, 403);
        }
        let answer = client.ask(&rebound);
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("*")));
    });
}
