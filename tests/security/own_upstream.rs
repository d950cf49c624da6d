//! A request and its key go to the upstream that configuration names, and to nobody else: whatever a
//! redirect, the request's target, its `Host` or its body says, and only if the upstream proves its name.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use loadtest::tls::CertificateSpec;
use loadtest::upstream::{Script, Seen, Upstream};

use crate::support::fixture::{Fixture, KEY, PATIENCE};
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::{raw_http1, raw_http2};
use crate::support::refusal::assert_refused;

/// What a good upstream gets, and one behind a bad certificate must not.
fn ask() -> Ask {
    Ask::post("/v1/chat/completions", r#"{"stream":true}"#)
}

fn assert_not_trusted(spec: &CertificateSpec) {
    for upstream in [Upstream::builder().http1(), Upstream::builder().http2()] {
        let fixture = Fixture::unready(upstream.certificate(spec.clone()), |_| {});
        assert_refused(&Http1::new(fixture.connect()).ask(&ask()), 502, "tls_error");
        assert_eq!(fixture.admin("/readyz").0, 503);
        assert_eq!(fixture.upstream.requests(), 0, "no key goes there");
    }
}

#[test]
fn a_certificate_that_has_expired_is_refused() {
    assert_not_trusted(&CertificateSpec { expired: true, ..CertificateSpec::default() });
}

#[test]
fn a_certificate_of_another_name_is_refused() {
    let names = Some(vec!["elsewhere.test".to_owned()]);
    assert_not_trusted(&CertificateSpec { names, ..CertificateSpec::default() });
}

/// A record of TLS: its type, 1.0 as the version that all records say, and its content.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a small record").to_be_bytes();
    [&[kind, 3, 1], &length[..], content].concat()
}

/// A `ServerHello` of TLS 1.1 (RFC 4346, section 7.4.1.3) that chooses ECDHE-RSA with AES-128-CBC.
fn server_hello_1_1() -> Vec<u8> {
    let body = [&[3, 2], &[7; 32][..], &[0, 0xc0, 0x13, 0]].concat();
    let length = u8::try_from(body.len()).expect("a small message");
    record(22, &[&[2, 0, 0, length][..], &body].concat())
}

/// The versions that a `ClientHello` offers by its extension `supported_versions` (RFC 8446, section
/// 4.2.1): the bytes after 0x002b, the extension's length and the list's.
fn offered(hello: &[u8]) -> Vec<[u8; 2]> {
    let at = hello.windows(2).position(|two| two == [0, 0x2b]).expect("the extension");
    let list = usize::from(hello[at + 4]);
    hello[at + 5..at + 5 + list].chunks_exact(2).map(|two| [two[0], two[1]]).collect()
}

#[test]
fn tls_1_1_is_neither_offered_nor_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (told, came) = mpsc::sync_channel(64);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut hello = vec![0; 5];
            stream.read_exact(&mut hello).expect("a record");
            hello.resize(5 + usize::from(u16::from_be_bytes([hello[3], hello[4]])), 0);
            stream.read_exact(&mut hello[5..]).expect("a record");
            stream.write_all(&server_hello_1_1()).expect("the proxy reads");
            let mut rest = Vec::new();
            // Ends by a close or a reset.
            let _ended = stream.read_to_end(&mut rest);
            if told.send((hello, rest)).is_err() {
                return;
            }
        }
    });
    let fixture = Fixture::unready(Upstream::builder(), |config| {
        config.upstreams[0].port = port;
    });
    assert_refused(&Http1::new(fixture.connect()).ask(&ask()), 502, "tls_error");
    let (hello, rest) = came.recv_timeout(PATIENCE).expect("a connection");
    assert_eq!(offered(&hello), [[3, 4], [3, 3]], "TLS 1.3 and 1.2");
    // A fatal alert (RFC 8446, section 6) that names the version, or what in the message is not of ours.
    assert_eq!((rest[0], rest[5]), (21, 2), "{rest:?}");
    assert!(rest.len() < 16, "and nothing else: {rest:?}");
}

/// A second upstream that listens, is not configured, and must never be asked; its authority.
fn stranger() -> (Upstream, String) {
    let stranger = Upstream::builder().clear().script(Script::new().answer(200, &[], "{}"));
    let stranger = stranger.start().expect("the mock upstream starts");
    let authority = format!("127.0.0.1:{}", stranger.addr().port());
    (stranger, authority)
}

#[test]
fn a_redirect_reaches_the_client_and_its_target_nobody_asks() {
    let (stranger, authority) = stranger();
    let location = format!("http://{authority}/v1/elsewhere");
    for status in [301, 302, 303, 307, 308] {
        let location = location.clone();
        let upstream = Upstream::builder().http2().respond(move |_| {
            Script::new().answer(status, &[("location", location.as_str())], "{}")
        });
        let fixture = Fixture::start(upstream);
        let answer = Http1::new(fixture.connect()).ask(&ask());
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("location"), Some(&*format!("http://{authority}/v1/elsewhere")));
        assert_eq!(fixture.upstream.requests(), 1);
    }
    assert!(stranger.log().connections.is_empty(), "somebody followed it");
}

/// What the one configured upstream saw: our authority, our key, no word of the stranger in its head but
/// where a header is the client's to send.
fn assert_asked_as_configured(fixture: &Fixture, requests: usize) {
    let log = fixture.upstream.log();
    assert_eq!(log.requests.len(), requests);
    let own = format!("localhost:{}", fixture.upstream.addr().port());
    for seen in &log.requests {
        let host = seen.authority.as_deref().or_else(|| seen.header("host"));
        assert_eq!(host, Some(&*own), "{seen:?}");
        assert_eq!(seen.header_values("authorization"), [format!("Bearer {KEY}")]);
        assert!(seen.path.starts_with("/v1/"), "{}", seen.path);
    }
}

#[test]
fn neither_target_nor_host_nor_body_leads_a_request_elsewhere() {
    let (stranger, authority) = stranger();
    let respond = |_: &Seen| Script::new().answer(200, &[], "{}");
    for upstream in [Upstream::builder().http1(), Upstream::builder().http2()] {
        let fixture = Fixture::start(upstream.respond(respond));
        let body = format!("{{\"base_url\":\"http://{authority}/v1\",\"host\":\"{authority}\"}}");
        let heads = [
            format!("POST http://{authority}/v1/x HTTP/1.1\r\nhost: {authority}\r\n"),
            format!("POST http://sk-theirs@{authority}/v1/x HTTP/1.1\r\nhost: {authority}\r\n"),
            format!("POST /v1/x HTTP/1.1\r\nhost: {authority}\r\n"),
            format!("POST /v1/x HTTP/1.1\r\nhost: p\r\nx-forwarded-host: {authority}\r\n"),
            format!("POST /v1/x HTTP/1.1\r\nhost: p\r\nforwarded: host={authority}\r\n"),
        ];
        let mut served = 0;
        for head in heads {
            let mut client = raw_http1::Client::connect(&fixture);
            write!(client.stream, "{head}content-length: {}\r\n\r\n{body}", body.len())
                .expect("the proxy reads");
            let answer = client.answer().expect("an answer");
            // One with a user in it may be refused as well as forwarded.
            assert!(matches!(answer.status, 200 | 400), "{head}: {}", answer.status);
            served += usize::from(answer.status == 200);
        }
        assert!(served >= 4, "only {served} were served");
        raw_http2::block_on(async {
            // Its `:authority` says `proxy`.
            let client = raw_http2::Client::connect(fixture.address()).await;
            let answer = client.ask("/v1/x", body.as_bytes()).await.expect("a head");
            assert_eq!(answer.status, 200);
        });
        assert_asked_as_configured(&fixture, served + 1);
    }
    let never = |log: &loadtest::upstream::Log| !log.connections.is_empty();
    assert!(!stranger.wait_for(never, Duration::from_millis(50)), "the stranger was asked");
}
