//! Each error of our own, on the wire: of the client's making, and of an upstream that answers badly.

use std::time::Duration;

use firstbyte::config::Protocol;
use loadtest::upstream::{Cut, Script, Upstream};

use crate::support::fixture::Fixture;
use crate::support::message::{Ask, Length};
use crate::support::pairing::{CLIENTS, ORIGINS, Origin, every_pairing, upstream};
use crate::support::peers::http1_client::Http1;
use crate::support::peers::http2_client::Http2;
use crate::support::peers::raw_upstream::{self, Reply, frame, lead_to};
use crate::support::refusal::assert_refused;

#[test]
fn a_path_without_a_route_is_404() {
    every_pairing(upstream, |fixture, client, _| {
        for path in ["/", "/v2/models", "/v1beta", "/V1/models", "/v2/../v1/models"] {
            assert_refused(&client.ask(&Ask::get(path)), 404, "no_route");
            assert_refused(&client.ask(&Ask::post(path, "{}")), 404, "no_route");
        }
        let told = client.ask(&Ask::get("/chat/completions")).json();
        let told = told["error"]["message"].as_str().unwrap_or_default().to_owned();
        let expected =
            "No route matches the path /chat/completions. The routes of this proxy begin with /v1;";
        assert!(told.starts_with(expected), "{told}");
        let head = client.ask(&Ask::get("/nowhere").method("HEAD"));
        assert_eq!((head.status, head.body().len()), (404, 0));
        assert_eq!(fixture.upstream.requests(), 0);
    });
}

/// A client that sends its body in its own time must not find the connection reset before it has read
/// why, and can ask again on it.
#[test]
fn a_refused_request_may_send_its_body_after_the_head_and_ask_again() {
    let fixture = Fixture::start(upstream());
    let mut client = Http1::new(fixture.connect());
    for length in [Length::Known, Length::Unknown] {
        let piece = bytes::Bytes::from(vec![b'x'; 4096]);
        let ask = Ask::post("/nowhere", "").body(vec![piece; 100], length);
        assert_refused(&client.ask(&ask), 404, "no_route");
        assert_eq!(client.ask(&Ask::get("/v1/models")).status, 200);
    }
}

#[test]
fn a_refused_client_that_expects_100_continue_is_not_asked_for_its_body() {
    let fixture = Fixture::start(upstream());
    let mut client = Http1::new(fixture.connect());
    let ask = Ask::post("/nowhere", "body").header("expect", "100-continue");
    client.send_head(&ask);
    let answer = client.answer(&ask);
    assert_refused(&answer, 404, "no_route");
    assert!(answer.interim.is_empty());
}

#[test]
fn a_method_that_would_tunnel_or_show_the_key_is_405() {
    let fixture = Fixture::start(upstream());
    for speaks in CLIENTS {
        let came = speaks.connect(&fixture).ask(&Ask::get("/v1/models").method("TRACE"));
        assert_refused(&came, 405, "method_refused");
        assert!(came.header("allow").is_some_and(|allow| allow.contains("POST")));
    }
    let mut client = Http1::new(fixture.connect());
    client.write(b"CONNECT proxy.test:443 HTTP/1.1\r\nhost: proxy.test\r\n\r\n");
    let status = client.head(&Ask::get("")).status;
    assert!(matches!(status, 400 | 404 | 405), "{status}");
    assert_eq!(fixture.upstream.requests(), 0);
}

/// Who asks for a WebSocket can't go on in HTTP, and is told in words; who would rather speak HTTP/2 can.
#[test]
fn a_websocket_is_501_and_the_connection_stays() {
    let fixture = Fixture::start(upstream());
    let mut client = Http1::new(fixture.connect());
    let upgrade = |to| Ask::get("/v1/models").header("connection", "upgrade").header("upgrade", to);
    for _ in 0..2 {
        assert_refused(&client.ask(&upgrade("websocket")), 501, "upgrade_unsupported");
    }
    assert_eq!(fixture.upstream.requests(), 0);
    assert_eq!(client.ask(&upgrade("h2c")).status, 200);
    let line = fixture.access_log().remove(0);
    let told = (&line["outcome"], &line["error"], &line["route"]);
    assert_eq!(told, (&"refused".into(), &"upgrade_unsupported".into(), &"/v1".into()));
}

/// It was never asked for, and nobody here could go on with it; which breaks no rule that a client should look for.
#[test]
fn an_upstream_that_switches_protocols_is_502_and_says_what_it_wanted() {
    let http1 = raw_upstream::http1(|_| {
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n";
        Reply { bytes: head.into(), close: false }
    });
    let http2 = raw_upstream::http2(|_, stream| {
        let head = frame(1, 4, stream, &[0x08, 3, b'1', b'0', b'1']);
        Reply { bytes: head, close: false }
    });
    for (address, protocol) in [(http1, Protocol::Http1), (http2, Protocol::Http2)] {
        let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
            lead_to(config, address, protocol);
        });
        for speaks in CLIENTS {
            let answer = speaks.connect(&fixture).ask(&Ask::get("/v1/realtime"));
            assert_refused(&answer, 502, "upgrade_refused");
            assert!(
                answer.header("proxy-status").is_some_and(|it| it.contains("http_upgrade_failed"))
            );
        }
        for line in fixture.access_log() {
            assert_eq!(line["error"], "upgrade_refused", "{line}");
        }
    }
}

/// Two readings of where a request ends: the upstream sees neither.
#[test]
fn framing_that_can_be_read_in_two_ways_is_400_and_a_close() {
    let fixture = Fixture::start(upstream());
    for lines in [
        "host: a\r\ncontent-length: 5\r\ncontent-length: 6",
        "host: a\r\ncontent-length: 5, 6",
        "host: a\r\ncontent-length: +5",
        "host: a\r\ncontent-length: 0x5",
        "host: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity",
        "host: a\r\ntransfer-encoding: gzip",
        "host: a\r\ntransfer-encoding: xchunked",
        "host: a\r\nhost: b",
        "x-no-host: 1",
        "host: a\r\nx y: space in a name",
        "host: a\r\nx-space : before the colon",
        "host: a\r\n folded: line",
        "host: a\r\nx-bare: cr\rhere",
    ] {
        let mut client = Http1::new(fixture.connect());
        let smuggled = "hello\r\n\r\nGET /v1/smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
        client.write(format!("POST /v1/files HTTP/1.1\r\n{lines}\r\n\r\n{smuggled}").as_bytes());
        let answer = client.answer(&Ask::get("/v1/files"));
        assert_eq!(answer.status, 400, "{lines}");
        client.assert_closed();
    }
    assert_eq!(fixture.upstream.requests(), 0);
}

/// A head that was not read whole cannot be understood: each is told why, recorded, and closed on.
#[test]
fn a_head_beyond_its_bounds_says_so_is_recorded_and_closed() {
    let fixture = Fixture::start(upstream());
    let mut beyond = vec![
        (
            format!("GET /v1/models HTTP/1.1\r\nhost: a\r\nx: {}", "a".repeat(70_000)),
            431,
            "head_too_large",
        ),
        (
            format!("GET /v1/models HTTP/1.1\r\n{}\r\n", "x: 1\r\n".repeat(200)),
            431,
            "too_many_headers",
        ),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000)), 414, "target_too_long"),
        ("GET /v1/models HTTP/1.1\nhost: a\n\n".to_owned(), 400, "bad_request"),
        ("GET /v1/models HTTP/3.0\r\nhost: a\r\n\r\n".to_owned(), 400, "bad_request"),
    ];
    for (head, status, code) in &beyond {
        let mut client = Http1::new(fixture.connect());
        client.write(head.as_bytes());
        assert_refused(&client.answer(&Ask::get("")), *status, code);
        client.assert_closed();
    }
    let long = Ask::get("/v1/models").header("x-long", &"a".repeat(70_000));
    assert_eq!(Http2::connect(fixture.address()).ask(&long).status, 431, "h2's own answer");
    let mut many = Ask::get("/v1/models");
    for line in 0..200 {
        many = many.header(&format!("x-{line}"), "1");
    }
    assert_refused(&Http2::connect(fixture.address()).ask(&many), 431, "too_many_headers");
    let answer = Http2::connect(fixture.address()).ask(&many.method("HEAD"));
    assert_eq!((answer.status, answer.body().len()), (431, 0), "HEAD has no body");
    for _ in 0..2 {
        beyond.push((String::new(), 431, "too_many_headers"));
    }
    assert_eq!(fixture.upstream.requests(), 0);
    let lines = fixture.access_log();
    let logged: Vec<_> =
        lines.iter().map(|line| (line["status"].as_u64(), line["error"].as_str())).collect();
    let told: Vec<_> =
        beyond.iter().map(|(_, status, code)| (Some(u64::from(*status)), Some(*code))).collect();
    assert_eq!(logged, told);
}

#[test]
fn an_upstream_that_breaks_off_before_its_head_is_502() {
    let scripts: [(&str, Script); 4] = [
        ("/v1/rst", Script::new().cut(Cut::Rst)),
        ("/v1/fin", Script::new().cut(Cut::Fin)),
        ("/v1/reset", Script::new().reset(2)),
        ("/v1/interim", Script::new().informational(103).cut(Cut::Rst)),
    ];
    every_pairing(
        || {
            let scripts = scripts.clone();
            upstream().respond(move |seen| {
                let named = scripts.iter().find(|(path, _)| *path == seen.path);
                named.map(|(_, script)| script.clone()).expect("a script")
            })
        },
        |fixture, client, origin| {
            for (path, _) in &scripts {
                let before = fixture.upstream.requests();
                let reset = *path == "/v1/reset" && origin.is_http2();
                let code = if reset { "upstream_reset" } else { "upstream_closed" };
                assert_refused(&client.ask(&Ask::post(path, "{}")), 502, code);
                assert_eq!(fixture.upstream.requests(), before + 1, "{path} is not replayed");
            }
        },
    );
}

#[test]
fn an_answer_that_is_not_http_is_502() {
    for wire in [
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nab",
    ] {
        let script = Script::new().step(loadtest::upstream::Step::Wire(wire.into()));
        let fixture = Origin::ClearHttp1.fixture(upstream().script(script.finish()));
        let mut client = Http1::new(fixture.connect());
        assert_refused(&client.ask(&Ask::get("/v1/models")), 502, "upstream_protocol");
        assert_eq!(fixture.upstream.requests(), 1);
    }
}

#[test]
fn an_upstream_without_a_head_in_time_is_504() {
    for origin in ORIGINS {
        let fixture = origin.configured(upstream().script(Script::new().stall()), |config| {
            config.upstreams[0].deadlines.response_head = Duration::from_millis(150);
        });
        for speaks in CLIENTS {
            let came = speaks.connect(&fixture).ask(&Ask::post("/v1/chat/completions", "{}"));
            assert_refused(&came, 504, "head_timeout");
        }
        assert!(fixture.upstream.wait_for_cancel(0, crate::support::fixture::PATIENCE).is_some());
    }
}

#[test]
fn a_clients_body_that_falls_silent_is_408() {
    let fixture = Fixture::configured(upstream(), |config| {
        config.client.body_idle = Duration::from_millis(150);
    });
    let ask = Ask::post("/v1/chat/completions", "").body(Vec::new(), Length::Unknown);
    for speaks in CLIENTS {
        let mut client = speaks.connect(&fixture);
        let mut exchange = client.begin(&ask);
        exchange.send(&"{".into());
        let mut answer = exchange.head();
        while let Some(piece) = exchange.piece(&mut answer) {
            answer.pieces.push(piece);
        }
        assert_refused(&answer, 408, "body_idle");
    }
}

/// Each error is in the log under its code, once, beside the id that the client was told.
#[test]
fn a_refusal_is_in_the_access_log_under_its_code_and_id() {
    let fixture = Fixture::start(Upstream::builder().script(Script::new().reset(2)));
    let mut client = Http1::new(fixture.connect());
    let asks = [Ask::get("/nowhere"), Ask::post("/v1/chat/completions", "{}")];
    let ids = asks.map(|ask| {
        let answer = client.ask(&ask);
        answer.header("x-firstbyte-request-id").map(ToOwned::to_owned).expect("an id")
    });
    drop(client);
    let log = fixture.access_log();
    let lines: Vec<_> = log.iter().map(|l| (l["id"].as_str(), l["error"].as_str())).collect();
    let expected = [Some("no_route"), Some("upstream_reset")];
    let ids = ids.iter().map(|id| Some(id.as_str()));
    assert_eq!(lines, ids.zip(expected).collect::<Vec<_>>());
}

/// The same where the upstream answers early and wants no more: its answer is whole, and the client
/// is still sending.
#[test]
fn an_upstream_that_answers_early_does_not_cost_the_client_its_connection() {
    for origin in ORIGINS {
        let early = || Script::new().early().answer(401, &[], "no");
        let fixture =
            origin.fixture(upstream().respond_early(move |seen| match seen.path_only() {
                "/v1/files" => early(),
                _ => Script::new().answer(200, &[], "ok"),
            }));
        let mut client = Http1::new(fixture.connect());
        for length in [Length::Known, Length::Unknown] {
            let piece = bytes::Bytes::from(vec![b'x'; 4096]);
            let ask = Ask::post("/v1/files", "").body(vec![piece; 100], length);
            client.send_head(&ask);
            client.send_piece(&ask, &ask.pieces[0]);
            let answer = client.answer(&ask);
            assert_eq!(answer.status, 401, "{origin:?} {length:?} {answer:?}");
            for piece in &ask.pieces[1..] {
                client.send_piece(&ask, piece);
            }
            client.send_end(&ask);
            assert_eq!(client.ask(&Ask::get("/v1/models")).status, 200, "{origin:?}");
        }
    }
}

/// The same where it does not even read what still comes, so that its socket resets: what it said before is
/// here, though nothing more can be sent to it.
#[test]
fn an_upstream_that_answers_and_resets_under_an_upload_has_answered() {
    let refusal = b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno";
    let address = raw_upstream::http1(|_| Reply { bytes: refusal.to_vec(), close: true });
    let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
        raw_upstream::lead_to(config, address, Protocol::Http1);
    });
    let piece = bytes::Bytes::from(vec![b'x'; 64 * 1024]);
    let ask = Ask::post("/v1/files", "").body(vec![piece; 16], Length::Known);
    for _ in 0..50 {
        let answer = Http1::new(fixture.connect()).ask(&ask);
        assert_eq!((answer.status, &*answer.body()), (413, &b"no"[..]), "{answer:?}");
    }
}
