use super::*;
use crate::upstream::{HeadScan, Marks};

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn allowed(names: &[&str]) -> Allowed {
    Allowed { any: names == ["*"], names: names.iter().map(|name| (*name).to_owned()).collect() }
}

struct Rules {
    on_loopback: bool,
    origins: Allowed,
    hosts: Allowed,
}

static NOBODY: Allowed = Allowed { any: false, names: Vec::new() };

const STRICT: Rules = Rules {
    on_loopback: true,
    origins: Allowed { any: false, names: Vec::new() },
    hosts: Allowed { any: false, names: Vec::new() },
};

fn asked(lines: &HeaderMap, on_loopback: bool) -> Asked {
    Asked { by_browser: HeadScan::of(lines).marks.any(Marks::PAGE), on_loopback }
}

fn everywhere(allowed: &Allowed) -> Origins<'_> {
    Origins { allowed, cors: None }
}

impl Rules {
    fn judge(&self, lines: &[(&str, &str)]) -> Result<Option<Page<'_>>, Kind> {
        let uri = Uri::from_static("/v1/models");
        let lines = headers(lines);
        page(&uri, &lines, asked(&lines, self.on_loopback), everywhere(&self.origins), &self.hosts)
    }
}

#[test]
fn programs_are_let_in_as_ever() {
    for host in
        ["localhost:8080", "127.0.0.1", "127.8.9.10:1", "[::1]:8080", "LocalHost", "a.localhost:1"]
    {
        assert_eq!(STRICT.judge(&[("host", host)]), Ok(None), "{host}");
    }
    assert_eq!(STRICT.judge(&[]), Ok(None), "HTTP/1.0");
    let wide = Rules { on_loopback: false, ..STRICT };
    assert_eq!(wide.judge(&[("host", "firstbyte.default.svc:8080")]), Ok(None));
}

#[test]
fn a_listener_on_loopback_is_asked_by_a_loopback_name_or_by_one_that_is_allowed() {
    for host in [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "127.evil.example",
        "notlocalhost",
        "localhost.evil.example",
        "10.0.0.1",
        "[::2]",
        "[::1",
        "",
        "@localhost",
        "0.0.0.0:8080",
    ] {
        assert_eq!(STRICT.judge(&[("host", host)]), Err(Kind::ForeignHost), "{host}");
    }
    let two = [("host", "localhost"), ("host", "evil.example")];
    assert_eq!(STRICT.judge(&two), Err(Kind::ForeignHost));
    let uri = Uri::from_static("http://evil.example/v1/models");
    let asked = asked(&headers(&[]), true);
    let judged = page(&uri, &headers(&[]), asked, everywhere(&NOBODY), &NOBODY);
    assert_eq!(judged, Err(Kind::ForeignHost), "HTTP/2's :authority");
    let named = Rules { hosts: allowed(&["api.example"]), ..STRICT };
    assert_eq!(named.judge(&[("host", "API.example:8080")]), Ok(None));
    assert_eq!(named.judge(&[("host", "evil.example")]), Err(Kind::ForeignHost));
    let any = Rules { hosts: allowed(&["*"]), ..STRICT };
    assert_eq!(any.judge(&[("host", "evil.example")]), Ok(None));
}

#[test]
fn a_page_of_another_origin_is_refused() {
    let strict = STRICT;
    for origin in [
        "http://evil.example",
        "null",
        "file://",
        "chrome-extension://localhost:8080",
        "http://localhost",
        "http://localhost:3000",
        "https://localhost",
        "http://localhost:8080.evil.example",
        "http://",
        "",
    ] {
        let judged = strict.judge(&[("host", "localhost:8080"), ("origin", origin)]);
        assert_eq!(judged, Err(Kind::ForeignOrigin), "{origin}");
    }
    for site in ["cross-site", "same-site"] {
        let judged = strict.judge(&[("host", "localhost:8080"), ("sec-fetch-site", site)]);
        assert_eq!(judged, Err(Kind::ForeignOrigin), "{site}");
    }
}

#[test]
fn a_page_of_our_own_origin_is_let_in() {
    let wide = Rules { on_loopback: false, ..STRICT };
    for (host, origin) in [
        ("localhost:8080", "http://localhost:8080"),
        ("api.example", "https://api.example"),
        ("api.example:443", "https://api.example"),
        ("api.example", "http://api.example"),
        ("api.example:80", "http://api.example"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("[::1]", "http://[::1]"),
    ] {
        let lines = [("host", host), ("origin", origin), ("sec-fetch-site", "same-origin")];
        assert_eq!(wide.judge(&lines), Ok(None), "{origin}");
    }
    assert_eq!(wide.judge(&[("host", "a"), ("sec-fetch-site", "none")]), Ok(None), "typed in");
    let uri = Uri::from_static("http://api.example/v1/models");
    let own = headers(&[("origin", "https://api.example")]);
    assert_eq!(
        page(&uri, &own, asked(&own, false), everywhere(&NOBODY), &NOBODY),
        Ok(None),
        "HTTP/2"
    );
}

#[test]
fn an_origin_that_is_allowed_is_let_in_and_told_so() {
    let some = Rules { origins: allowed(&["https://chat.example"]), ..STRICT };
    let chat = [
        ("host", "localhost"),
        ("origin", "https://chat.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    let page = some.judge(&chat).unwrap().unwrap();
    let mut answer = headers(&[("vary", "accept")]);
    page.may_see(&mut answer);
    assert_eq!(answer["access-control-allow-origin"], "https://chat.example");
    assert_eq!(answer["access-control-expose-headers"], "*");
    assert_eq!(answer.get_all("vary").iter().collect::<Vec<_>>(), ["accept", "origin"]);
    let other = [("host", "localhost"), ("origin", "https://chat.example.evil")];
    assert_eq!(some.judge(&other), Err(Kind::ForeignOrigin));
    let any = Rules { origins: allowed(&["*"]), ..STRICT };
    let page = any.judge(&[("host", "localhost"), ("origin", "null")]).unwrap().unwrap();
    let mut answer = HeaderMap::new();
    page.may_see(&mut answer);
    assert_eq!(answer["access-control-allow-origin"], "*");
    assert!(!answer.contains_key("vary"), "it does not vary");
}

#[test]
fn one_word_about_the_origin_reaches_the_browser() {
    let page = Page { allowed: HeaderValue::from_static("https://chat.example"), cors: None };
    for (upstreams, seen) in [
        (&["*"][..], "*"),
        (&["https://chat.example"], "https://chat.example"),
        (&["https://other.example"], "https://chat.example"),
        (&["*", "*"], "https://chat.example"),
        (&[], "https://chat.example"),
    ] {
        let lines: Vec<_> =
            upstreams.iter().map(|value| ("access-control-allow-origin", *value)).collect();
        let mut answer = headers(&lines);
        page.may_see(&mut answer);
        let said: Vec<_> = answer.get_all("access-control-allow-origin").iter().collect();
        assert_eq!(said, [seen], "{upstreams:?}");
    }
}

#[test]
fn a_preflight_names_methods_headers_and_how_long_that_holds() {
    let asked = headers(&[
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization, content-type, x-stainless-lang"),
    ]);
    assert!(Page::asks_first(&Method::OPTIONS, &asked));
    assert!(!Page::asks_first(&Method::POST, &asked));
    assert!(!Page::asks_first(&Method::OPTIONS, &HeaderMap::new()));
    let page = Page { allowed: HeaderValue::from_static("https://chat.example"), cors: None };
    let told = page.may_send(&asked);
    assert_eq!(told["access-control-allow-origin"], "https://chat.example");
    assert!(told["access-control-allow-methods"].to_str().unwrap().contains("POST"));
    let names = "authorization, content-type, x-stainless-lang";
    assert_eq!(told["access-control-allow-headers"], names);
    assert_eq!(told["access-control-max-age"], "600");
    assert!(told["vary"].to_str().unwrap().starts_with("origin"));
}

fn cors(headers: &[&str], credentials: bool) -> Cors {
    let headers = headers.iter().map(|name| (*name).to_owned()).collect();
    let max_age = std::time::Duration::from_secs(7200);
    Cors { origins: allowed(&["https://chat.example"]), headers, credentials, max_age }
}

const CHAT: [(&str, &str); 2] = [("host", "localhost"), ("origin", "https://chat.example")];

#[test]
fn a_route_s_own_origins_take_the_place_of_those_of_all_routes() {
    let elsewhere = allowed(&["https://other.example"]);
    let cors = cors(&[], false);
    let judge = |lines: &[(&str, &str)]| {
        let (uri, lines) = (Uri::from_static("/v1/models"), headers(lines));
        let origins = Origins { allowed: &elsewhere, cors: Some(&cors) };
        page(&uri, &lines, asked(&lines, true), origins, &NOBODY).map(|page| page.is_some())
    };
    assert_eq!(judge(&CHAT), Ok(true));
    let other = [("host", "localhost"), ("origin", "https://other.example")];
    assert_eq!(judge(&other), Err(Kind::ForeignOrigin));
    assert_eq!(judge(&[("host", "localhost"), ("origin", "http://localhost")]), Ok(false));
}

#[test]
fn with_credentials_the_browser_is_told_so_and_every_header_is_named() {
    let cors = cors(&["content-type", "x-team"], true);
    let page =
        Page { allowed: HeaderValue::from_static("https://chat.example"), cors: Some(&cors) };
    let told = page.may_send(&headers(&[("access-control-request-headers", "x-other")]));
    assert_eq!(told["access-control-allow-headers"], "content-type, x-team", "not what was asked");
    assert_eq!(told["access-control-allow-credentials"], "true");
    assert_eq!(told["access-control-max-age"], "7200");
    let mut answer = headers(&[
        ("access-control-allow-origin", "*"),
        ("access-control-expose-headers", "*"),
        ("x-request-id", "req-1"),
    ]);
    page.may_see(&mut answer);
    assert_eq!(answer["access-control-allow-origin"], "https://chat.example");
    assert_eq!(answer["access-control-allow-credentials"], "true");
    let exposed = answer["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.contains("x-request-id") && !exposed.contains('*'), "{exposed}");
}

#[test]
fn what_a_route_says_takes_the_place_of_what_the_upstream_says() {
    let cors = cors(&[], false);
    let page =
        Page { allowed: HeaderValue::from_static("https://chat.example"), cors: Some(&cors) };
    let mut answer = headers(&[
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "x-one"),
    ]);
    page.may_see(&mut answer);
    assert_eq!(answer["access-control-allow-origin"], "https://chat.example");
    assert_eq!(answer["access-control-expose-headers"], "*");
    assert!(!answer.contains_key("access-control-allow-credentials"));
}

#[test]
fn a_page_of_the_public_network_is_told_that_it_may_call_into_this_one() {
    let page = Page { allowed: ANY, cors: None };
    let asked = headers(&[("access-control-request-private-network", "true")]);
    assert_eq!(page.may_send(&asked)["access-control-allow-private-network"], "true");
    assert!(!page.may_send(&headers(&[])).contains_key("access-control-allow-private-network"));
}
