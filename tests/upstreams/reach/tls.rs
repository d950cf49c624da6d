//! What an upstream is trusted by over TLS, what it is shown, and what is said where that does not do.

use std::net::SocketAddr;
use std::time::Duration;

use firstbyte::config::{ClientFiles, Config, Pin, Scheme};
use loadtest::upstream::{Script, Upstream};

use crate::support::fixture::{Fixture, KEY, PATIENCE, scratch};
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::tls_server::{Authority, Pair, Terms, TlsServer, self_signed};
use crate::support::program::{Program, program};
use crate::support::refusal::assert_failed;

fn ask() -> Ask {
    Ask::get("/v1/models")
}

/// A proxy that speaks TLS to this address.
fn before(address: SocketAddr, change: impl FnOnce(&mut Config)) -> Fixture {
    Fixture::unready(Upstream::builder().clear(), |config| {
        let upstream = &mut config.upstreams[0];
        (upstream.scheme, upstream.port) = (Scheme::Https, address.port());
        "localhost".clone_into(&mut upstream.host);
        change(config);
    })
}

/// A file with this text.
fn file(name: &str, text: &str) -> std::path::PathBuf {
    let path = scratch().join(name);
    std::fs::write(&path, text).expect("it can be written");
    path
}

fn trusting(pair: &Pair) -> impl FnOnce(&mut Config) {
    let ca = file("ca.pem", &pair.certificate);
    move |config| config.upstreams[0].ca_file = Some(ca)
}

fn assert_answered(fixture: &Fixture) {
    assert!(fixture.proxy.wait_ready(PATIENCE), "it connects");
    assert_eq!(Http1::new(fixture.connect()).ask(&ask()).status, 200);
}

fn assert_untrusted(fixture: &Fixture, server: &TlsServer, cause: &str) {
    let answer = Http1::new(fixture.connect()).ask(&ask());
    assert_failed(&answer, 502, "tls_error", cause);
    assert!(server.seen().is_empty(), "no key goes there");
}

#[test]
fn a_servers_own_self_signed_certificate_is_trusted_if_it_is_the_ca_file() {
    let own = self_signed(|_| {});
    let server = TlsServer::start(&own, &Terms::default());
    assert_answered(&before(server.address, trusting(&own)));
}

/// It is its own, and not somebody's who signed one like it.
#[test]
fn another_certificate_of_the_same_names_is_not_trusted_for_that() {
    let [own, other] = [(), ()].map(|()| self_signed(|_| {}));
    let server = TlsServer::start(&other, &Terms::default());
    let fixture = before(server.address, trusting(&own));
    assert_untrusted(&fixture, &server, "tls_ca_as_server");
}

#[test]
fn its_names_and_dates_still_count() {
    let expired = self_signed(|params| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let elsewhere = self_signed(|params| {
        params.subject_alt_names =
            vec![rcgen::SanType::DnsName("elsewhere.test".try_into().unwrap())];
    });
    let nameless = self_signed(|params| params.subject_alt_names.clear());
    for (pair, cause) in
        [(expired, "tls_expired"), (elsewhere, "tls_wrong_name"), (nameless, "tls_no_names")]
    {
        let server = TlsServer::start(&pair, &Terms::default());
        let fixture = before(server.address, trusting(&pair));
        assert_untrusted(&fixture, &server, cause);
    }
}

#[test]
fn server_name_is_sent_and_verified_in_place_of_the_urls_host_and_host_goes_in_the_head() {
    let pair = self_signed(|params| {
        params.subject_alt_names =
            vec![rcgen::SanType::DnsName("elsewhere.test".try_into().unwrap())];
    });
    let server = TlsServer::start(&pair, &Terms::default());
    let fixture = before(server.address, |config| {
        trusting(&pair)(config);
        config.upstreams[0].tls.server_name = Some("elsewhere.test".into());
        config.upstreams[0].host_header = Some("api.elsewhere.test:8443".into());
    });
    assert_answered(&fixture);
    let seen = server.seen().remove(0);
    assert_eq!(seen.sni.as_deref(), Some("elsewhere.test"));
    assert!(seen.head.contains("\r\nhost: api.elsewhere.test:8443\r\n"), "{}", seen.head);
    assert!(!seen.head.contains("localhost"), "{}", seen.head);
}

/// The pin in the words of the log is the one to write.
#[test]
fn a_pin_is_all_that_is_needed_and_the_log_says_which() {
    let pair = self_signed(|params| {
        params.subject_alt_names.clear();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let server = TlsServer::start(&pair, &Terms::default());
    let wrong = before(server.address, |config| {
        config.upstreams[0].tls.pins = vec![Pin([7; 32])];
    });
    assert_untrusted(&wrong, &server, "tls_pin_mismatch");
    let yaml = |pin: &str| {
        let text = format!(
            "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: off\nupstreams:\n  \
             a: {{ url: 'https://localhost:{}', pin_sha256: '{pin}' }}\n\
             routes: [{{ path: /v1, upstream: a }}]\nallowed_hosts: '*'\n",
            server.address.port()
        );
        file("firstbyte.yaml", &text)
    };
    let program = Program::start(&yaml("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="));
    let answer = Http1::new(program.connect()).ask(&ask());
    assert_failed(&answer, 502, "tls_error", "tls_pin_mismatch");
    program.terminate();
    let (_, said) = program.ended();
    let pin = said.split("has the pin ").nth(1).and_then(|rest| rest.split(',').next());
    let pin = pin.unwrap_or_else(|| panic!("no pin in: {said}"));
    let program = Program::start(&yaml(pin));
    assert_eq!(Http1::new(program.connect()).ask(&ask()).status, 200);
}

fn showing(pair: &Pair) -> ClientFiles {
    ClientFiles {
        certificate: file("client.pem", &pair.certificate),
        key: file("client.key", &pair.key),
    }
}

#[test]
fn a_client_certificate_is_shown_and_a_lack_of_one_is_said() {
    let (authority, stranger, own) = (Authority::new(), Authority::new(), self_signed(|_| {}));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let terms = Terms { clients: Some(&authority), version: Some(version), ..Terms::default() };
        let server = TlsServer::start(&own, &terms);
        let nobody = before(server.address, trusting(&own));
        assert_untrusted(&nobody, &server, "tls_client_certificate_demanded");
        let other = before(server.address, |config| {
            trusting(&own)(config);
            config.upstreams[0].tls.client = Some(showing(&stranger.client("us")));
        });
        assert_untrusted(&other, &server, "tls_client_certificate_refused");
        let known = before(server.address, |config| {
            trusting(&own)(config);
            config.upstreams[0].tls.client = Some(showing(&authority.client("us")));
        });
        assert_answered(&known);
        assert!(server.seen()[0].client.is_some(), "{version:?}");
    }
    let terms = Terms { clients: Some(&authority), http2: true, ..Terms::default() };
    let server = TlsServer::start(&own, &terms);
    let nobody = before(server.address, trusting(&own));
    let answer = Http1::new(nobody.connect()).ask(&ask());
    let cause = crate::support::refusal::cause(&answer).expect("a cause");
    assert_eq!((answer.status, cause), (502, "tls_client_certificate_demanded"));
}

/// Such a server is not called as fast as it can be.
#[test]
fn a_server_that_demands_a_certificate_after_the_handshake_is_backed_off_from() {
    let (authority, own) = (Authority::new(), self_signed(|_| {}));
    let terms = Terms {
        clients: Some(&authority),
        version: Some(&rustls::version::TLS13),
        ..Terms::default()
    };
    let server = TlsServer::start(&own, &terms);
    let fixture = before(server.address, trusting(&own));
    fixture.wait_until("it failed a few times", |fixture| {
        fixture.count(r#"firstbyte_upstream_connect_failures_total{upstream="openai"}"#) >= 3
    });
    assert!(!fixture.proxy.wait_ready(Duration::from_millis(1)), "it is not ready");
}

#[test]
fn certificates_and_keys_are_read_again_at_a_reload() {
    let (old, new, own) = (Authority::new(), Authority::new(), self_signed(|_| {}));
    let terms = Terms { clients: Some(&new), ..Terms::default() };
    let server = TlsServer::start(&own, &terms);
    let directory = scratch();
    let write = |name: &str, text: &str| {
        std::fs::write(directory.join(name), text).expect("it can be written");
    };
    let show = |pair: &Pair| {
        write("client.pem", &pair.certificate);
        write("client.key", &pair.key);
    };
    write("ca.pem", &own.certificate);
    write("key", "sk-one");
    show(&old.client("us"));
    write(
        "firstbyte.yaml",
        &format!(
            "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: off\nupstreams:\n  a:\n    \
         url: https://localhost:{}\n    ca_file: ca.pem\n    client_certificate: client.pem\n    \
         client_key: client.key\n    key: file:key\n    deadlines: {{ connect: 2s }}\n\
         routes: [{{ path: /v1, upstream: a }}]\nallowed_hosts: '*'\n",
            server.address.port()
        ),
    );
    let program = Program::start(&directory.join("firstbyte.yaml"));
    let answer = Http1::new(program.connect()).ask(&ask());
    assert_failed(&answer, 502, "tls_error", "tls_client_certificate_refused");
    show(&new.client("us"));
    write("key", "sk-two");
    assert_eq!(program.reload().0, 200);
    assert_eq!(Http1::new(program.connect()).ask(&ask()).status, 200);
    assert!(server.seen()[0].head.contains("Bearer sk-two"), "{:?}", server.seen());
    write("client.key", "no key at all");
    let (status, page) = program.reload();
    assert!(status == 422 && page.contains("client.key"), "{status} {page}");
    assert_eq!(Http1::new(program.connect()).ask(&ask()).status, 200, "the old pair is kept");
}

#[test]
fn the_platforms_roots_are_read_again_at_a_reload() {
    let started = || {
        let script = Script::new().answer(200, &[], "{}");
        Upstream::builder().script(script).start().expect("the mock upstream starts")
    };
    let (upstream, stranger) = (started(), started());
    let directory = scratch();
    let (bundle, file) = (directory.join("bundle.pem"), directory.join("firstbyte.yaml"));
    stranger.write_ca(&bundle).expect("it can be written");
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: off\nupstreams:\n  \
         a: {{ url: '{}', deadlines: {{ connect: 2s }} }}\nroutes: [{{ path: /v1, upstream: a }}]\n\
         allowed_hosts: '*'\n",
        upstream.base_url()
    );
    std::fs::write(&file, text).expect("it can be written");
    let mut command = program();
    let proxy = Program::spawn(command.arg("-c").arg(&file).env("SSL_CERT_FILE", &bundle));
    let answer = Http1::new(proxy.connect()).ask(&ask());
    assert_failed(&answer, 502, "tls_error", "tls_unknown_authority");
    upstream.write_ca(&bundle).expect("it can be written");
    assert_eq!(proxy.reload().0, 200);
    assert_eq!(Http1::new(proxy.connect()).ask(&ask()).status, 200);
}

#[test]
fn what_is_untrusted_is_told_nothing() {
    let own = self_signed(|_| {});
    let server = TlsServer::start(&own, &Terms::default());
    let fixture = before(server.address, |_| {});
    let answer = Http1::new(fixture.connect()).ask(&ask());
    assert_failed(&answer, 502, "tls_error", "tls_ca_as_server");
    assert!(!format!("{answer:?}").contains(KEY));
    assert!(server.seen().is_empty());
}
