//! Warm connections: there before the first request, ahead of need, replaced before their time, and
//! never dirty.

use std::time::Duration;

use firstbyte::config::{Config, Protocol};
use loadtest::upstream::{ConnectionEnd, ConnectionSeen, Cut, Goaway, Log, Script, Seen, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::raw_http1::{self, Client};
use crate::support::peers::raw_upstream::{Reply, http1, lead_to};

const COLD: &str = r#"firstbyte_cold_requests_total{upstream="openai"}"#;

fn ok() -> Script {
    Script::new().answer(200, &[], "{}")
}

/// A stream that goes on until its client leaves.
fn held() -> Script {
    Script::new().stream().body("data: x\n\n").stall()
}

/// One answer on a connection of its own.
fn ask(fixture: &Fixture, path: &str) -> raw_http1::Answer {
    let mut client = Client::connect(fixture);
    client.ask(path, b"{}");
    client.answer().expect("an answer")
}

fn open(connections: usize) -> impl Fn(&Log) -> bool {
    move |log| {
        let open = log.connections.iter().filter(|c| c.ready_ns.is_some() && c.closed.is_none());
        open.count() == connections
    }
}

#[test]
fn two_connections_are_warm_before_the_proxy_is_ready() {
    let fixture = Fixture::start(Upstream::builder());
    assert!(open(2)(&fixture.upstream.log()), "{:?}", fixture.upstream.log().connections);
    assert_eq!(fixture.admin("/readyz").0, 200);
    assert_eq!(ask(&fixture, "/v1/chat/completions").status, 200);
    assert_eq!(fixture.upstream.log().connections.len(), 2, "the first request finds them");
    assert_eq!(fixture.count(COLD), 0);
}

#[test]
fn a_proxy_whose_connections_are_not_warm_is_not_ready() {
    let fixture = Fixture::unready(Upstream::builder().silent_handshake(), |_| {});
    let accepted = |log: &Log| log.connections.len() == 2;
    assert!(fixture.upstream.wait_for(accepted, PATIENCE));
    assert_eq!(fixture.admin("/readyz").0, 503);
    assert_eq!(fixture.admin("/livez").0, 200);
}

/// Connections are lost one after the other; the other one carries on.
#[test]
fn no_request_waits_for_a_connect_while_one_connection_is_open() {
    let upstream = Upstream::builder().http2().respond(|seen: &Seen| match seen.path_only() {
        "/v1/fin" => Script::new().cut(Cut::Fin),
        "/v1/rst" => Script::new().cut(Cut::Rst),
        "/v1/goaway" => Script::new().goaway(Goaway::AfterThis).answer(200, &[], "{}"),
        _ => ok(),
    });
    let fixture = Fixture::start(upstream);
    for loss in ["/v1/fin", "/v1/rst", "/v1/goaway", "/v1/fin", "/v1/rst", "/v1/goaway"] {
        let lost = ask(&fixture, loss).status;
        assert_eq!(lost, if loss == "/v1/goaway" { 200 } else { 502 });
        for _ in 0..5 {
            assert_eq!(ask(&fixture, "/v1/x").status, 200);
        }
        assert!(fixture.upstream.wait_for(open(2), PATIENCE), "what was lost is replaced");
        // The pool has it too: it warms the connection before it counts it.
        let ready = r#"firstbyte_upstream_connections{upstream="openai",state="ready"}"#;
        fixture.wait_until("two are ready", |fixture| fixture.count(ready) == 2);
    }
    assert_eq!(fixture.count(COLD), 0);
    for line in fixture.access_log() {
        assert_eq!(line["cold"], false, "{line}");
    }
}

#[test]
fn the_pool_grows_before_its_last_stream_is_taken() {
    let fixture = Fixture::configured(Upstream::builder().http2().script(held()), |config| {
        config.upstreams[0].pool.streams_per_connection = 4;
    });
    let mut holders = Vec::new();
    // Each time fewer than a quarter of the streams is free, one more connection comes by itself.
    for connections in [2, 3, 4, 5] {
        assert!(fixture.upstream.wait_for(open(connections), PATIENCE), "{connections} are open");
        let ready = r#"firstbyte_upstream_connections{upstream="openai",state="ready"}"#;
        fixture.wait_until("it is ready", |fixture| fixture.count(ready) == connections as u64);
        while holders.len() * 4 <= connections * 4 * 3 {
            let mut holder = Client::connect(&fixture);
            holder.ask("/v1/x", b"{}");
            assert!(holder.wait_for("data: x"));
            holders.push(holder);
        }
    }
    assert_eq!(fixture.count(COLD), 0, "nobody waited for it");
    let peak = fixture.upstream.log().connections.iter().map(|c| c.peak_streams).max();
    assert!(peak <= Some(4), "{peak:?}");
}

/// A long stream and many short requests, while the connections are replaced under them.
fn replaced(change: impl FnOnce(&mut Config), most_each: usize) -> (Fixture, Client) {
    let upstream = Upstream::builder()
        .http2()
        .respond(|seen: &Seen| if seen.path == "/v1/long" { held() } else { ok() });
    let fixture = Fixture::configured(upstream, change);
    let mut lasting = Client::connect(&fixture);
    lasting.ask("/v1/long", b"{}");
    assert!(lasting.wait_for("data: x"));
    let mut client = Client::connect(&fixture);
    fixture.wait_until("eight connections have been used", |fixture| {
        client.ask("/v1/x", b"{}");
        let answer = client.answer().expect("the client's connection stays");
        assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
        fixture.upstream.log().connections.len() >= 8
    });
    assert_eq!(fixture.count(COLD), 0, "a replacement is there before the old one goes");
    let log = fixture.upstream.log();
    let on = |number: u64| log.requests.iter().filter(move |seen| seen.connection == number);
    let long_on = log.requests[0].connection;
    for connection in &log.connections {
        assert!(on(connection.number).count() <= most_each, "{}", on(connection.number).count());
        // All requests were answered. What the upstream still says of the connection itself, such as that it has our
        // GOAWAY, may find the socket closed.
        let late = |end: &ConnectionEnd| *end == ConnectionEnd::Failed("broken pipe".to_owned());
        let end = connection.closed.as_ref().filter(|end| !late(end));
        assert!(matches!(end, None | Some(ConnectionEnd::Closed)), "{connection:?}");
    }
    assert_eq!(log.connections[long_on as usize].closed, None, "the long stream goes on");
    assert_eq!(log.requests[0].end, None);
    (fixture, lasting)
}

#[test]
fn a_connection_that_carried_its_share_of_requests_is_replaced_ahead() {
    // Some more are leased while the replacement is on its way.
    replaced(|config| config.upstreams[0].pool.max_requests = 20, 100);
}

#[test]
fn a_connection_that_is_old_is_replaced_ahead_and_goes_with_its_last_stream() {
    let old = |config: &mut Config| {
        let pool = &mut config.upstreams[0].pool;
        pool.max_age = Duration::from_millis(300);
        pool.ping_interval = Duration::from_millis(50);
    };
    let (fixture, lasting) = replaced(old, usize::MAX);
    drop(lasting);
    let gone = |log: &Log| log.connections[log.requests[0].connection as usize].closed.is_some();
    assert!(fixture.upstream.wait_for(gone, PATIENCE));
}

fn quick_pings(config: &mut Config) {
    let pool = &mut config.upstreams[0].pool;
    pool.ping_interval = Duration::from_millis(100);
    pool.ping_timeout = Duration::from_millis(400);
}

#[test]
fn an_upstream_that_does_not_answer_pings_is_given_up() {
    let upstream = Upstream::builder()
        .http2()
        .respond(|seen: &Seen| if seen.path == "/v1/long" { held() } else { ok() });
    let fixture = Fixture::configured(upstream, quick_pings);
    let mut lasting = Client::connect(&fixture);
    lasting.ask("/v1/long", b"{}");
    assert!(lasting.wait_for("data: x"));
    fixture.upstream.freeze();
    // The gap's deadline is ten minutes: only the PING can have noticed.
    let cut = lasting.answer().expect("a head");
    assert!(!cut.whole);
    fixture.upstream.thaw();
    fixture.wait_until("it serves again", |fixture| ask(fixture, "/v1/x").status == 200);
    let lines = fixture.access_log();
    assert_eq!(lines[0]["path"], "/v1/long");
    assert_eq!(lines[0]["outcome"], "upstream_failed", "{}", lines[0]);
}

#[test]
fn an_upstream_that_is_silent_but_answers_pings_is_kept() {
    let silent =
        Script::new().stream().wait(Duration::from_millis(1500)).body("data: x\n\n").done();
    let fixture = Fixture::configured(Upstream::builder().http2().script(silent), quick_pings);
    assert!(ask(&fixture, "/v1/x").whole);
    assert_eq!(fixture.upstream.log().connections.len(), 2);
}

#[test]
fn http1_connections_are_used_again() {
    for upstream in [Upstream::builder().clear().http1(), Upstream::builder().http1()] {
        let fixture = Fixture::start(upstream.respond(|seen: &Seen| match seen.path_only() {
            "/v1/chunked" => Script::new().stream().body("data: x\n\n").finish(),
            "/v1/none" => Script::new().head(204, &[]).finish(),
            _ => ok(),
        }));
        for path in ["/v1/x", "/v1/chunked", "/v1/none", "/v1/x"].iter().cycle().take(40) {
            assert!(ask(&fixture, path).whole, "{path}");
        }
        let log = fixture.upstream.log();
        assert!(log.connections.len() <= 3, "{} connections", log.connections.len());
        assert_eq!(fixture.count(COLD), 0);
    }
}

/// What is left of one answer must never be read as the next one's.
#[test]
fn an_http1_connection_that_is_not_clean_is_never_used_again() {
    let upstream =
        Upstream::builder().clear().http1().respond(|seen: &Seen| match seen.path_only() {
            "/v1/held" => held(),
            "/v1/slow" => Script::new().stall(),
            "/v1/close" => Script::new().head(200, &[("connection", "close")]).body("{}").finish(),
            _ => ok(),
        });
    let fixture = Fixture::start(upstream);
    let mut dirty = Vec::new();
    for round in 0..5 {
        for path in ["/v1/held", "/v1/slow", "/v1/close"] {
            let path = format!("{path}?{round}");
            let mut client = Client::connect(&fixture);
            client.ask(&path, b"{}");
            let seen = |log: &Log| log.requests.iter().any(|seen| seen.path == path);
            assert!(fixture.upstream.wait_for(seen, PATIENCE));
            if path.starts_with("/v1/held") {
                assert!(client.wait_for("data: x"));
            } else if path.starts_with("/v1/close") {
                assert!(client.answer().expect("an answer").whole);
            }
            drop(client);
            dirty.push(path);
            let next = ask(&fixture, "/v1/next");
            assert_eq!((next.status, next.text().as_str(), next.whole), (200, "{}", true));
        }
    }
    let log = fixture.upstream.log();
    for seen in log.requests.iter().filter(|seen| dirty.contains(&seen.path)) {
        let later =
            log.requests.iter().filter(|r| r.nth > seen.nth && r.connection == seen.connection);
        assert_eq!(later.count(), 0, "{} was followed on its connection", seen.path);
    }
}

/// Two answers to one request in one segment: the second would be the next client's.
#[test]
fn an_answer_that_nobody_asked_for_reaches_nobody() {
    let answer =
        |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let upstream = http1(move |path| {
        let text =
            if path == "/v1/two" { answer("first") + &answer("forged") } else { answer("own") };
        Reply { bytes: text.into_bytes(), close: false }
    });
    let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, upstream, Protocol::Http1);
    });
    for _ in 0..20 {
        assert_eq!(ask(&fixture, "/v1/two").text(), "first");
        for _ in 0..3 {
            assert_eq!(ask(&fixture, "/v1/one").text(), "own");
        }
    }
}

#[test]
fn the_protocol_is_what_the_upstream_offers_and_the_operator_allows() {
    let both = || Upstream::builder().alpn_both();
    let cases = [
        (both(), Protocol::Auto, Some("h2")),
        (both(), Protocol::Http1, Some("http/1.1")),
        (both(), Protocol::Http2, Some("h2")),
        (Upstream::builder().http1(), Protocol::Auto, Some("http/1.1")),
        (Upstream::builder().clear().alpn_both(), Protocol::Auto, None),
        (Upstream::builder().clear().alpn_both(), Protocol::Http2, None),
    ];
    for (upstream, protocol, alpn) in cases {
        let fixture = Fixture::configured(upstream, |config| {
            config.upstreams[0].protocol = protocol;
        });
        let answer = ask(&fixture, "/v1/chat/completions");
        assert_eq!(answer.status, 200, "{protocol:?}");
        let log = fixture.upstream.log();
        let http2 = alpn == Some("h2") || (alpn.is_none() && protocol == Protocol::Http2);
        let ready = |connection: &&ConnectionSeen| connection.ready_ns.is_some();
        assert!(log.connections.iter().any(|connection| ready(&connection)));
        for connection in log.connections.iter().filter(ready) {
            assert_eq!(
                (connection.alpn.as_deref(), connection.http2),
                (alpn, http2),
                "{protocol:?}"
            );
        }
        let version = if http2 { "HTTP/2" } else { "HTTP/1.1" };
        assert_eq!(fixture.access_log()[0]["upstream_version"], version);
    }
}
