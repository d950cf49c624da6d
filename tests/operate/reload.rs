//! A reload changes what the file says has changed, and nothing else; a bad file changes nothing.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use firstbyte::config::{ProcessEnv, read};
use firstbyte::handover::Inherited;
use firstbyte::runtime::{self, Origin};
use loadtest::upstream::{Builder, Log, Script, Upstream};
use serde_json::{Value, json};

use crate::support::fixture::{Fixture, PATIENCE, scratch};
use crate::support::message::{Answer, Ask};
use crate::support::peers::http1_client::Http1;

/// An upstream that says its name.
pub(crate) fn saying(name: &'static str) -> Builder {
    Upstream::builder().clear().http2().script(Script::new().answer(200, &[], name))
}

pub(crate) fn started(builder: Builder) -> Upstream {
    builder.start().expect("the mock upstream starts")
}

/// One worker in front of upstreams with these names, each with a route of its own name.
pub(crate) fn file(upstreams: &[(&str, &Upstream, &str)]) -> String {
    let mut text = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: off\n\
                    upstreams:\n"
        .to_owned();
    for (name, upstream, more) in upstreams {
        let url = upstream.url();
        writeln!(text, "  {name}: {{ url: '{url}', protocol: http2{more} }}").expect("a String");
    }
    text += "routes:\n";
    for (name, _, _) in upstreams {
        writeln!(text, "  - {{ path: /{name}, upstream: {name} }}").expect("a String");
    }
    text
}

pub(crate) fn ready(upstream: Upstream, text: &str) -> Fixture {
    let fixture = Fixture::of_file(upstream, text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "the proxy does not become ready");
    fixture
}

pub(crate) fn reload(fixture: &Fixture) -> (u16, Value) {
    let (status, page) = fixture.ask_admin("POST", "/reload");
    (status, serde_json::from_str(&page).expect("JSON"))
}

#[track_caller]
pub(crate) fn applied(fixture: &Fixture) -> Value {
    let (status, page) = reload(fixture);
    assert_eq!((status, &page["result"]), (200, &json!("applied")), "{page}");
    page
}

pub(crate) fn get(fixture: &Fixture, path: &str) -> Answer {
    Http1::new(fixture.connect()).ask(&Ask::get(path))
}

pub(crate) fn open(connections: usize) -> impl Fn(&Log) -> bool {
    move |log| log.open_connections() == connections
}

/// An upstream whose stream ends when the request's body does.
pub(crate) fn held() -> Builder {
    let script = Script::new().early().stream().tokens(1, Duration::ZERO).await_body().done();
    Upstream::builder().clear().http2().script(script)
}

/// A stream that is under way; it ends when the caller ends its request.
pub(crate) fn begun(fixture: &Fixture, path: &str) -> TcpStream {
    let mut stream = fixture.connect();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n"
    )
    .expect("the proxy reads");
    read_to(&mut stream, "\"content\":\" token\"");
    stream
}

pub(crate) fn end(stream: &mut TcpStream) {
    stream.write_all(b"0\r\n\r\n").expect("the proxy reads");
    assert!(read_to(stream, "\r\n0\r\n\r\n").contains("data: [DONE]\n\n"));
}

fn read_to(stream: &mut TcpStream, end: &str) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(end.as_bytes()) {
        stream.read_exact(&mut byte).expect("the stream goes on");
        text.push(byte[0]);
    }
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn a_route_that_is_new_leads_and_one_that_is_gone_does_not_on_an_open_connection_too() {
    let (a, b) = (started(saying("from a")), started(saying("from b")));
    let before = file(&[("a", &a, "")]);
    let after = file(&[("b", &b, "")]);
    let fixture = ready(a, &before);
    let mut client = Http1::new(fixture.connect());
    assert_eq!(client.ask(&Ask::get("/a")).body(), b"from a");
    assert_eq!(client.ask(&Ask::get("/b")).status, 404);
    fixture.write_file("firstbyte.yaml", &after);
    let page = applied(&fixture);
    assert_eq!(page["changes"], json!(["upstreams.a (gone)", "upstreams.b (new)", "routes"]));
    assert_eq!(client.ask(&Ask::get("/b")).body(), b"from b");
    assert_eq!(client.ask(&Ask::get("/a")).status, 404);
    assert!(fixture.upstream.wait_for(open(0), PATIENCE), "nobody keeps it warm");
    assert_eq!(fixture.count(r#"firstbyte_cold_requests_total{upstream="b"}"#), 0, "warmed before");
    let told = |route: &str, upstream: &str| {
        let labels = format!(r#"{{route="{route}",upstream="{upstream}",code="200"}}"#);
        fixture.count(&format!("firstbyte_requests_total{labels}"))
    };
    assert_eq!((told("/a", "a"), told("/b", "b")), (1, 1), "what is gone goes on being told");
    let ready = |name| {
        let labels = format!(r#"{{upstream="{name}",state="ready"}}"#);
        fixture.count(&format!("firstbyte_upstream_connections{labels}"))
    };
    assert_eq!((ready("a"), ready("b")), (0, 2));
}

#[test]
fn a_bad_file_says_where_and_why_and_the_old_one_stays_in_force() {
    let a = started(saying("from a"));
    let good = file(&[("a", &a, "")]);
    let fixture = ready(a, &good);
    let digest = |fixture: &Fixture| {
        let (_, page) = fixture.admin("/metrics");
        let line = page.lines().find(|line| line.starts_with("firstbyte_config_info"));
        line.expect("it is told").to_owned()
    };
    let before = digest(&fixture);
    let cases = [
        (good.replace("routes:", "rotues:"), "firstbyte.yaml:7:1: \"rotues\" is not a known key"),
        (
            good.replace("upstream: a }", "upstream: b }"),
            "firstbyte.yaml:8:31: routes[0].upstream: is not a configured name",
        ),
        (good.replace("workers: 1", "workers: 2"), "firstbyte.yaml:3:1: workers: can't be changed"),
        (good.replace("access_log: off", "access_log: stderr"), "firstbyte.yaml:4:1: access_log"),
        (good.replace("127.0.0.1:0\nadmin", "127.0.0.1:1\nadmin"), "firstbyte.yaml:1:1: listen"),
        (good.replace("admin: 127.0.0.1:0", "admin: off"), "firstbyte.yaml:2:1: admin"),
        (String::new(), "firstbyte.yaml:1:1"),
    ];
    for (nth, (bad, said)) in cases.iter().enumerate() {
        // What else is in it must not be applied either.
        fixture.write_file("firstbyte.yaml", &bad.replace("path: /a", "path: /other"));
        let (status, page) = reload(&fixture);
        assert_eq!((status, &page["result"]), (422, &json!("refused")));
        let faults = page["faults"].as_array().expect("faults");
        let told = |fault: &Value| fault.as_str().is_some_and(|fault| fault.contains(said));
        assert!(faults.iter().any(told), "{said:?} in {faults:?}");
        assert_eq!(get(&fixture, "/a").body(), b"from a");
        let refused = fixture.count(r#"firstbyte_reloads_total{result="refused"}"#);
        assert_eq!(refused, nth as u64 + 1);
    }
    assert_eq!(digest(&fixture), before);
    assert_eq!(fixture.count(r#"firstbyte_reloads_total{result="applied"}"#), 0);
    fixture.write_file("firstbyte.yaml", &good.replace("path: /a", "path: /other"));
    applied(&fixture);
    assert_eq!(get(&fixture, "/other").body(), b"from a");
    assert_ne!(digest(&fixture), before);
}

#[test]
fn a_key_is_read_again_from_its_file_and_no_connection_is_made_for_it() {
    let a = started(saying("from a"));
    let text = file(&[("a", &a, ", key: 'file:key'")]);
    let directory = scratch();
    std::fs::write(directory.join("key"), "sk-old-canary\n").expect("a file");
    std::fs::write(directory.join("firstbyte.yaml"), &text).expect("a file");
    let path = directory.join("firstbyte.yaml");
    let read = read(&path, &ProcessEnv).expect("a configuration");
    let proxy = runtime::start_from(Origin::File(Box::new(read)), Inherited::default())
        .expect("the proxy starts");
    assert!(proxy.wait_ready(PATIENCE));
    let ask = || {
        let stream = TcpStream::connect(proxy.addresses()[0]).expect("it listens");
        assert_eq!(Http1::new(stream).ask(&Ask::get("/a")).status, 200);
        let seen = a.log().requests.last().cloned().expect("a request");
        seen.header("authorization").expect("a key").to_owned()
    };
    assert_eq!(ask(), "Bearer sk-old-canary");
    std::fs::write(directory.join("key"), "sk-new-canary\n").expect("a file");
    let applied = proxy.reloader().reload("test").expect("it is applied");
    assert_eq!(applied.changes, ["upstreams.a.key"]);
    assert_eq!(ask(), "Bearer sk-new-canary");
    assert_eq!(a.log().connections.len(), 2, "the pool stayed as it was");
    std::fs::write(directory.join("key"), "sk with spaces\n").expect("a file");
    let refused = proxy.reloader().reload("test").expect_err("it is refused").to_string();
    assert!(refused.contains("upstreams.a.key") && !refused.contains("spaces"), "{refused}");
    assert_eq!(ask(), "Bearer sk-new-canary");
}

#[test]
fn a_stream_ends_whole_at_the_upstream_that_it_began_at() {
    let (old, new) = (started(held()), started(saying("from the new one")));
    let before = file(&[("a", &old, "")]);
    let after = file(&[("a", &new, "")]);
    let fixture = ready(old, &before);
    let mut stream = begun(&fixture, "/a");
    fixture.write_file("firstbyte.yaml", &after);
    assert_eq!(applied(&fixture)["changes"], json!(["upstreams.a.url"]));
    assert_eq!(get(&fixture, "/a").body(), b"from the new one");
    assert!(fixture.upstream.wait_for(open(1), PATIENCE), "idle ones close, the stream's stays");
    end(&mut stream);
    assert!(fixture.upstream.wait_for(open(0), PATIENCE), "and closes with it");
    assert_eq!(fixture.count(r#"firstbyte_stream_end_total{outcome="complete"}"#), 2);
    let ready = r#"firstbyte_upstream_connections{upstream="a",state="ready"}"#;
    assert_eq!(fixture.count(ready), 2, "both pools have one name; the new one's are told");
}

#[test]
fn deadlines_of_a_kept_pool_and_limits_are_those_of_the_new_file() {
    let a = started(Upstream::builder().clear().http2().script(Script::new().stall()));
    let before = file(&[("a", &a, "")]);
    let after = file(&[("a", &a, ", deadlines: { response_head: 50ms }")]);
    let fixture = ready(a, &before);
    fixture.write_file("firstbyte.yaml", &after);
    applied(&fixture);
    assert_eq!(get(&fixture, "/a").status, 504, "it does not wait for ten minutes");
    assert_eq!(fixture.upstream.log().connections.len(), 2);
    let held = begun_and_waiting(&fixture);
    fixture.write_file("firstbyte.yaml", &format!("{before}limits: {{ streams: 1 }}\n"));
    applied(&fixture);
    // Its own clock is the old one's.
    drop(held);
    let mut waiting = Http1::new(fixture.connect());
    fixture.wait_until("nothing is in flight", |fixture| {
        fixture.count("firstbyte_streams_in_flight") == 0
    });
    waiting.send(&Ask::get("/a"));
    fixture
        .wait_until("it is in flight", |fixture| fixture.count("firstbyte_streams_in_flight") == 1);
    assert_eq!(get(&fixture, "/a").status, 503, "one at once");
}

fn begun_and_waiting(fixture: &Fixture) -> Http1 {
    let mut client = Http1::new(fixture.connect());
    client.send(&Ask::get("/a"));
    client
}

#[test]
fn a_proxy_that_waits_for_a_dead_upstream_is_ready_once_a_reload_leads_elsewhere() {
    let (dead, well) = (started(saying("never").silent_handshake()), started(saying("from a")));
    let before = file(&[("a", &dead, ", deadlines: { connect: 1s }")]);
    let after = file(&[("a", &well, "")]);
    let fixture = Fixture::of_file(dead, &before);
    assert_eq!(fixture.admin("/readyz").0, 503);
    fixture.write_file("firstbyte.yaml", &after);
    applied(&fixture);
    assert!(fixture.proxy.wait_ready(PATIENCE));
    assert_eq!(get(&fixture, "/a").body(), b"from a");
}

#[test]
fn an_upstream_that_does_not_answer_holds_a_reload_up_for_one_connect_and_is_named() {
    let (a, dead) = (started(saying("from a")), started(saying("never").silent_handshake()));
    let before = file(&[("a", &a, "")]);
    let after = file(&[("a", &a, ""), ("b", &dead, ", deadlines: { connect: 300ms }")]);
    let fixture = ready(a, &before);
    fixture.write_file("firstbyte.yaml", &after);
    assert_eq!(applied(&fixture)["cold"], json!(["b"]));
    assert_eq!(get(&fixture, "/a").body(), b"from a");
    assert_eq!(fixture.admin("/readyz").0, 200, "it was ready and is");
}

#[test]
fn what_is_known_of_an_upstreams_health_outlives_a_reload() {
    let (ill, well) = (
        started(Upstream::builder().clear().http2().script(Script::new().answer(500, &[], "ill"))),
        started(saying("from b")),
    );
    let health = ", health: { consecutive_failures: 3, eject: 1h, longest_eject: 1h }";
    let text = |via: &str| {
        let upstreams = file(&[("a", &ill, health), ("b", &well, "")]);
        let group = "groups: { all: { members: [{ upstream: a }, { upstream: b, tier: 1 }] } }\n";
        let all = "  - { path: /all, upstream: all }\n";
        format!("via: {via}\n{upstreams}{all}{group}")
    };
    let before = text("true");
    let after = text("false");
    let fixture = ready(well, &before);
    for _ in 0..3 {
        assert_eq!(get(&fixture, "/all").status, 500);
    }
    assert_eq!(get(&fixture, "/all").body(), b"from b", "`a` is left out");
    fixture.write_file("firstbyte.yaml", &after);
    applied(&fixture);
    assert_eq!(get(&fixture, "/all").body(), b"from b", "and still is");
    assert_eq!(fixture.count(r#"firstbyte_upstream_ejected{upstream="a"}"#), 1);
    let gone = file(&[("b", &fixture.upstream, "")]);
    fixture.write_file("firstbyte.yaml", &gone);
    applied(&fixture);
    assert_eq!(fixture.count(r#"firstbyte_upstream_ejected{upstream="a"}"#), 0, "it is gone");
}

#[test]
fn a_certificate_that_was_replaced_under_its_name_is_used_from_then_on() {
    let (upstream, stranger) = (started(Upstream::builder()), started(Upstream::builder()));
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: off\nupstreams:\n  \
         a: {{ url: '{}', ca_file: ca.pem, deadlines: {{ connect: 500ms }} }}\n\
         routes: [{{ path: /v1, upstream: a }}]\n",
        upstream.base_url()
    );
    let directory = scratch();
    let path = directory.join("firstbyte.yaml");
    upstream.write_ca(directory.join("ca.pem")).expect("a file");
    std::fs::write(&path, text).expect("a file");
    let read = read(&path, &ProcessEnv).expect("a configuration");
    let origin = Origin::File(Box::new(read));
    let proxy = runtime::start_from(origin, Inherited::default()).expect("the proxy starts");
    assert!(proxy.wait_ready(PATIENCE));
    let ask = || {
        let stream = TcpStream::connect(proxy.addresses()[0]).expect("it listens");
        Http1::new(stream).ask(&Ask::get("/v1/models")).status
    };
    assert_eq!(ask(), 200);
    stranger.write_ca(directory.join("ca.pem")).expect("a file");
    let applied = proxy.reloader().reload("test").expect("it is applied");
    assert_eq!(applied.cold, ["a"], "its certificate is trusted no more");
    assert_eq!(ask(), 502);
    upstream.write_ca(directory.join("ca.pem")).expect("a file");
    let applied = proxy.reloader().reload("test").expect("it is applied");
    assert!(applied.cold.is_empty() && ask() == 200, "{:?}", applied.cold);
}
