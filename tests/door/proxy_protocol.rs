//! Behind a balancer that says who connected to it.

use std::io::{Read, Write};
use std::net::TcpStream;

use loadtest::upstream::{Script, Upstream};

use super::{clear, listen, ready, text};
use crate::door::authority::Authority;
use crate::door::tls_client::TlsSettings;
use crate::support::fixture::{Fixture, scratch};

const REQUEST: &[u8] = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x12\x67\x01\xbb";
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn upstream() -> Upstream {
    clear(Upstream::builder().script(Script::new().answer(200, &[], "{}")))
}

fn behind(listen: &str) -> Fixture {
    let upstream = upstream();
    let text = text(&upstream, listen, "");
    ready(upstream, &text)
}

fn required() -> Fixture {
    behind("[{ address: 127.0.0.1:0, proxy_protocol: required }]")
}

fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn the_log_names_the_client_that_the_header_names() {
    let fixture = required();
    let mut local = String::new();
    for header in [V1, V2, V2_LOCAL, b"PROXY UNKNOWN\r\n"] {
        let mut stream = fixture.connect();
        local = stream.local_addr().expect("an address").ip().to_string();
        stream.write_all(&[header, REQUEST].concat()).expect("it reads");
        assert!(answer(stream).starts_with("HTTP/1.1 200 "), "{header:?}");
    }
    let log = fixture.access_log();
    let clients: Vec<_> = log.iter().map(|line| line["client"].as_str().expect("text")).collect();
    assert_eq!(clients[..2], ["192.0.2.7:4711", "192.0.2.7:4711"]);
    assert!(clients[2..].iter().all(|client| client.starts_with(&local)), "{clients:?}");
}

#[test]
fn a_header_that_comes_in_pieces_is_one_header() {
    let fixture = required();
    for cut in [1, 12, 20] {
        let mut stream = fixture.connect();
        stream.write_all(&V2[..cut]).expect("it reads");
        stream.write_all(&V2[cut..]).expect("it reads");
        stream.write_all(REQUEST).expect("it reads");
        assert!(answer(stream).starts_with("HTTP/1.1 200 "), "{cut}");
    }
}

#[test]
fn who_sends_no_header_is_closed_and_counted_and_reaches_no_upstream() {
    let fixture = required();
    for other in [REQUEST, b"\x16\x03\x01\x02\x00\x01", b"PROXY TCP4 nonsense\r\n"] {
        let mut stream = fixture.connect();
        stream.write_all(other).expect("it reads");
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{answer:?}");
    }
    // A check that connects and leaves is no fault.
    drop(fixture.connect());
    let series = "firstbyte_client_hangups_total{reason=\"no_proxy_header\"}";
    fixture.wait_until("all are counted", |fixture| fixture.count(series) == 3);
    assert_eq!(fixture.upstream.requests(), 0);
}

#[test]
fn a_header_is_nothing_but_a_bad_request_where_none_was_asked_for() {
    let fixture = behind("127.0.0.1:0");
    for header in [V1, V2] {
        let mut stream = fixture.connect();
        stream.write_all(&[header, REQUEST].concat()).expect("it reads");
        assert!(answer(stream).starts_with("HTTP/1.1 400 "), "{header:?}");
    }
    assert_eq!(fixture.upstream.requests(), 0);
}

#[test]
fn tls_follows_the_header() {
    let (folder, authority) = (scratch(), Authority::new("ours"));
    authority.server(&["localhost"]).write(&folder, "a");
    let listen = listen(&folder, &["a"], "").replace(", tls", ", proxy_protocol: required, tls");
    let fixture = behind(&listen);
    let mut socket = fixture.connect();
    socket.write_all(V1).expect("it reads");
    let name = "localhost".try_into().expect("a name");
    let config = TlsSettings::trusting(&authority).alpn(&["http/1.1"]).config();
    let mut session = rustls::ClientConnection::new(config, name).expect("a session");
    let mut tls = rustls::Stream::new(&mut session, &mut socket);
    tls.write_all(REQUEST).expect("it reads");
    let mut answer = String::new();
    tls.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(fixture.access_log()[0]["client"], "192.0.2.7:4711");
}
