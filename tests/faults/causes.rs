//! Every 502 and 504 says why: each fault with the word that the client, the access log and the metrics have for it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use firstbyte::config::{Config, Protocol, Scheme};
use loadtest::tls::CertificateSpec;
use loadtest::upstream::{Builder, Cut, Script, Step, Upstream};

use crate::support::fixture::Fixture;
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::raw_upstream::{self, Reply, frame, lead_to};
use crate::support::refusal::assert_failed;
use crate::support::talking_program::TalkingProgram;

fn ask() -> Ask {
    Ask::post("/v1/chat/completions", r#"{"stream":true}"#)
}

/// What a proxy before `upstream` says of a request, where all of it must name `cause`.
fn assert_says(fixture: Fixture, status: u16, code: &str, cause: &str) {
    assert_failed(&Http1::new(fixture.connect()).ask(&ask()), status, code, cause);
    let series =
        format!("firstbyte_upstream_failures_total{{upstream=\"openai\",cause=\"{cause}\"}}");
    assert_eq!(fixture.count(&series), 1, "{series}");
    let line = fixture.access_log().remove(0);
    assert_eq!(
        (line["error"].as_str(), line["cause"].as_str()),
        (Some(code), Some(cause)),
        "{line}"
    );
}

fn mock() -> Builder {
    Upstream::builder().clear()
}

/// A proxy before an upstream at `address`.
fn before(address: SocketAddr, protocol: Protocol) -> Fixture {
    Fixture::unready(mock(), |config| lead_to(config, address, protocol))
}

/// A proxy that speaks TLS to an upstream at `address`.
fn over_tls(address: SocketAddr) -> Fixture {
    Fixture::unready(Upstream::builder(), |config| lead_to(config, address, Protocol::Auto))
}

/// A proxy before an upstream that answers with these bytes and closes.
fn answering(bytes: &[u8]) -> Fixture {
    let bytes = bytes.to_vec();
    let reply = move |_: &str| Reply { bytes: bytes.clone(), close: true };
    before(raw_upstream::http1(reply), Protocol::Http1)
}

#[test]
fn a_connection_that_cannot_be_had_says_why() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    assert_says(before(free, Protocol::Http1), 502, "connect_refused", "refused");
    let nowhere = Fixture::unready(mock(), |config| {
        config.upstreams[0].host = "firstbyte..invalid".into();
    });
    assert_says(nowhere, 502, "dns_error", "dns_failed");
}

/// A listener that takes connections and says nothing.
fn silent() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

#[test]
fn a_connect_that_takes_too_long_says_at_what() {
    let soon = |config: &mut Config| {
        config.upstreams[0].deadlines.connect = Duration::from_millis(200);
    };
    let (_kept, address) = silent();
    for (builder, protocol, cause) in [
        (Upstream::builder(), Protocol::Auto, "tls_timeout"),
        (mock(), Protocol::Http2, "http_handshake_timeout"),
    ] {
        let fixture = Fixture::unready(builder, |config| {
            lead_to(config, address, protocol);
            soon(config);
        });
        assert_says(fixture, 504, "connect_timeout", cause);
    }
}

#[test]
fn a_certificate_that_is_not_trusted_says_why() {
    let with = |spec: CertificateSpec| {
        Fixture::unready(Upstream::builder().http2().certificate(spec), |_| {})
    };
    let good = CertificateSpec::default;
    let expired = with(CertificateSpec { expired: true, ..good() });
    assert_says(expired, 502, "tls_error", "tls_expired");
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let elsewhere = with(CertificateSpec { names: names(&["elsewhere.test"]), ..good() });
    assert_says(elsewhere, 502, "tls_error", "tls_wrong_name");
    let nameless = with(CertificateSpec { names: names(&[]), ..good() });
    assert_says(nameless, 502, "tls_error", "tls_no_names");
    let unknown = Fixture::unready(Upstream::builder().http2(), |config| {
        config.upstreams[0].ca_file = None;
    });
    assert_says(unknown, 502, "tls_error", "tls_unknown_authority");
}

/// A server that answers a `ClientHello` with these bytes and closes.
fn greeting(bytes: &'static [u8]) -> SocketAddr {
    raw_upstream::serve(move |stream: &mut TcpStream| {
        let mut hello = [0; 4096];
        let _read = stream.read(&mut hello);
        let _written = stream.write_all(bytes);
        if !bytes.is_empty() {
            let _until_it_leaves = stream.read(&mut hello);
        }
    })
}

#[test]
fn a_tls_handshake_that_fails_says_why() {
    for (answer, cause) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "tls_not_spoken"),
        (b"", "tls_closed"),
        (&[21, 3, 3, 0, 2, 2, 40], "tls_no_common_version"), // handshake_failure
        (&[21, 3, 3, 0, 2, 2, 70], "tls_no_common_version"), // protocol_version
        (&[21, 3, 3, 0, 2, 2, 112], "tls_unknown_name"),     // unrecognized_name
        (&[21, 3, 3, 0, 2, 2, 116], "tls_client_certificate_demanded"), // certificate_required
        (&[21, 3, 3, 0, 2, 2, 80], "tls_alert"),             // internal_error
    ] {
        assert_says(over_tls(greeting(answer)), 502, "tls_error", cause);
    }
    let other = Fixture::unready(Upstream::builder().http1(), |config| {
        config.upstreams[0].protocol = Protocol::Http2;
    });
    assert_says(other, 502, "tls_error", "tls_no_common_protocol");
}

#[test]
fn a_peer_that_does_not_speak_http_2_says_so() {
    let http1 = raw_upstream::serve(|stream: &mut TcpStream| {
        let mut preface = [0; 4096];
        let _read = stream.read(&mut preface);
        let _written = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        let _until_it_leaves = stream.read(&mut preface);
    });
    assert_says(before(http1, Protocol::Http2), 502, "upstream_handshake", "not_http2");
    let closes = raw_upstream::serve(|_: &mut TcpStream| {});
    let closes = before(closes, Protocol::Http2);
    assert_says(closes, 502, "upstream_handshake", "http_handshake_closed");
}

/// A proxy before an HTTP/2 upstream that answers each request with the frame of this type and code.
fn with_code(kind: u8, code: u32) -> Fixture {
    let address = raw_upstream::http2(move |_, stream| {
        let reply = match kind {
            3 => frame(3, 0, stream, &code.to_be_bytes()),
            _ => frame(7, 0, 0, &[stream.to_be_bytes(), code.to_be_bytes()].concat()),
        };
        Reply { bytes: reply, close: kind == 7 }
    });
    before(address, Protocol::Http2)
}

#[test]
fn a_code_of_http_2_is_told() {
    for (code, cause) in [
        (0, "reset_no_error"),
        (1, "reset_protocol_error"),
        (2, "reset_internal_error"),
        (7, "reset_refused_stream"),
        (8, "reset_cancel"),
        (11, "reset_enhance_your_calm"),
        (13, "http_1_1_required"),
        (5, "reset_other"),
    ] {
        assert_says(with_code(3, code), 502, "upstream_reset", cause);
    }
    for (code, cause) in [
        (1, "goaway_protocol_error"),
        (2, "goaway_internal_error"),
        (11, "goaway_enhance_your_calm"),
        (12, "goaway_inadequate_security"),
        (13, "http_1_1_required"),
        (10, "goaway_other"),
    ] {
        assert_says(with_code(7, code), 502, "upstream_goaway", cause);
    }
    let breach = raw_upstream::http2(|_, _| Reply { bytes: frame(0, 0, 0, b"x"), close: false });
    assert_says(before(breach, Protocol::Http2), 502, "upstream_protocol", "http2_violation");
}

#[test]
fn an_answer_that_is_not_valid_says_why() {
    for (answer, code, cause) in [
        (&b""[..], "upstream_closed", "closed"),
        (b"HTTP/1.1 200 OK\r\ncontent-", "upstream_closed", "closed"),
        (b"garbage\r\n\r\n", "upstream_protocol", "not_http1"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "upstream_protocol", "not_http1"), // TLS: protocol_version
        (b"\0\0\0\x04\0\0\0\0\0", "upstream_protocol", "not_http1"),         // HTTP/2: SETTINGS
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "upstream_protocol", "invalid_head"),
        (b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", "upstream_protocol", "invalid_head"),
        (b"HTTP/1.1 200 OK\ncontent-length: 0\n\n", "upstream_protocol", "invalid_head"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nab",
            "upstream_protocol",
            "transfer_coding",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            "upstream_protocol",
            "invalid_length",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "upstream_protocol",
            "invalid_length",
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            "upgrade_refused",
            "upgrade_refused",
        ),
    ] {
        assert_says(answering(answer), 502, code, cause);
    }
    let resets = mock().http1().script(Script::new().cut(Cut::Rst));
    assert_says(Fixture::start(resets), 502, "upstream_closed", "closed_by_reset");
}

#[test]
fn a_head_beyond_the_limits_says_which() {
    let http2 = |headers: Vec<(String, String)>| {
        let upstream = Upstream::builder().http2().respond(move |_| {
            let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            Script::new().answer(200, &headers, "{}")
        });
        Fixture::start(upstream)
    };
    let many = (0..300).map(|nth| (format!("x-{nth}"), "1".to_owned())).collect();
    assert_says(http2(many), 502, "answer_head_too_large", "too_many_headers");
    let lines = (0..300).fold(String::new(), |lines, nth| lines + &format!("x-{nth}: v\r\n"));
    let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n").into_bytes();
    assert_says(answering(&head), 502, "answer_head_too_large", "too_many_headers");
    let large = vec![("x-large".to_owned(), "a".repeat(70_000))];
    assert_says(http2(large), 502, "answer_head_too_large", "head_too_large");
}

#[test]
fn a_deadline_says_which() {
    let late = Upstream::builder().http2().script(Script::new().stall());
    let late = Fixture::configured(late, |config| {
        config.upstreams[0].deadlines.response_head = Duration::from_millis(150);
    });
    assert_says(late, 504, "head_timeout", "response_head_deadline");
}

/// After the head there is nobody to tell but the operator.
#[test]
fn a_cut_says_why_in_log_and_metric() {
    let body = Script::new().stream().body("data: 1\n\n");
    let wild = Step::Wire(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\ng".to_vec().into(),
    );
    let short = Step::Wire(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".to_vec().into());
    for (upstream, code, cause) in [
        (
            Upstream::builder().http2().script(body.clone().reset(2)),
            "upstream_cut",
            "reset_internal_error",
        ),
        (Upstream::builder().http2().script(body.clone().cut(Cut::Fin)), "upstream_cut", "closed"),
        (mock().http1().script(body.clone().cut(Cut::Rst)), "upstream_cut", "closed_by_reset"),
        (
            mock().http1().script(Script::new().step(short).cut(Cut::Fin)),
            "upstream_cut",
            "truncated",
        ),
        (mock().http1().script(Script::new().step(wild).stall()), "upstream_cut", "invalid_body"),
        (Upstream::builder().http2().script(body.stall()), "gap_timeout", "frame_gap_deadline"),
    ] {
        let fixture = Fixture::configured(upstream, |config| {
            config.upstreams[0].deadlines.frame_gap = Duration::from_millis(300);
        });
        let mut client = Http1::new(fixture.connect());
        client.send(&ask());
        assert_eq!(client.head(&ask()).status, 200);
        let series =
            format!("firstbyte_upstream_failures_total{{upstream=\"openai\",cause=\"{cause}\"}}");
        fixture.wait_until(&series, |fixture| fixture.count(&series) == 1);
        drop(client);
        let line = fixture.access_log().remove(0);
        let said = (line["error"].as_str(), line["cause"].as_str());
        assert_eq!(said, (Some(code), Some(cause)), "{line}");
    }
}

#[test]
fn stderr_names_the_cause_once_and_not_each_time() {
    let upstream = Upstream::builder().http2().script(Script::new().reset(2));
    let upstream = upstream.start().expect("the mock upstream starts");
    let program = TalkingProgram::quiet(&upstream);
    for _ in 0..20 {
        let answer = Http1::new(program.connect()).ask(&ask());
        assert_failed(&answer, 502, "upstream_reset", "reset_internal_error");
    }
    let (_, said) = program.terminate();
    let lines: Vec<_> = said.lines().filter(|line| line.contains("failed a request")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].contains("cause=\"reset_internal_error\""), "{}", lines[0]);
}

/// The proxy cannot know of a TLS failure before it connects: the pool says it, with what was found.
#[test]
fn stderr_says_what_was_found_when_tls_fails() {
    let spec = CertificateSpec { expired: true, ..CertificateSpec::default() };
    let upstream = Upstream::builder().certificate(spec).start().expect("the mock upstream starts");
    let program = TalkingProgram::quiet(&upstream);
    let answer = Http1::new(program.connect()).ask(&ask());
    assert_failed(&answer, 502, "tls_error", "tls_expired");
    assert!(!format!("{answer:?}").contains("2001"), "what was found is not the client's");
    let (_, said) = program.terminate();
    let line = said.lines().find(|line| line.contains("cannot connect")).expect("a line");
    let address = upstream.addr().to_string();
    for part in ["tls_expired", "01 Jan 2001", &address, "renew it"] {
        assert!(line.contains(part), "{part} is not in: {line}");
    }
}

#[test]
fn scheme_and_port_that_do_not_fit_say_so() {
    let clear = mock().http1().start().expect("the mock upstream starts");
    let fixture = Fixture::unready(mock(), |config| {
        lead_to(config, clear.addr(), Protocol::Auto);
        config.upstreams[0].scheme = Scheme::Https;
    });
    let answer = Http1::new(fixture.connect()).ask(&ask());
    assert_eq!(answer.status, 502);
    let cause = crate::support::refusal::cause(&answer).expect("a cause");
    assert!(["tls_not_spoken", "tls_closed"].contains(&cause), "{cause}");
}
