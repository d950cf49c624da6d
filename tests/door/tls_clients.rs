//! Clients that show certificates of their own.

use loadtest::upstream::{Script, Upstream};

use super::{clear, handshakes, listen, ready, text};
use crate::door::authority::{Authority, Issued};
use crate::door::tls_client::TlsSettings;
use crate::support::fixture::{Fixture, scratch};

struct Door {
    fixture: Fixture,
    authority: Authority,
    clients: Authority,
}

fn door(auth: &str) -> Door {
    let folder = scratch();
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    authority.server(&["localhost"]).write(&folder, "a");
    std::fs::write(folder.join("clients.pem"), clients.pem()).expect("a file");
    let upstream = clear(Upstream::builder().script(Script::new().answer(200, &[], "{}")));
    let more = format!(", client_ca: {}/clients.pem, client_auth: {auth}", folder.display());
    let text = text(&upstream, &listen(&folder, &["a"], &more), "");
    Door { fixture: ready(upstream, &text), authority, clients }
}

impl Door {
    fn settings(&self, certificate: Option<&Issued>) -> TlsSettings {
        TlsSettings::speaking(&self.authority, rustls::ALL_VERSIONS, certificate)
            .alpn(&["http/1.1"])
    }

    /// Whether one request is answered; otherwise what the client is told.
    fn asks(&self, settings: &TlsSettings) -> Result<bool, String> {
        let told = |error: std::io::Error| error.to_string();
        let mut client = settings.connect(self.fixture.address(), "localhost").map_err(told)?;
        let answer = client.get("/v1/models").map_err(told)?;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        Ok(client.is_resumed())
    }
}

#[test]
fn a_client_without_the_required_certificate_is_told_why() {
    let door = door("required");
    let foreign = Authority::new("foreign").client("somebody");
    let known = door.clients.client("somebody");
    let refused = door.asks(&door.settings(None)).expect_err("it has none");
    assert!(refused.to_lowercase().contains("certificaterequired"), "{refused}");
    let refused =
        door.asks(&door.settings(Some(&foreign))).expect_err("nobody knows its authority");
    assert!(refused.contains("UnknownCA") || refused.contains("alert"), "{refused}");
    door.asks(&door.settings(Some(&known))).expect("it is known");
    assert_eq!(door.fixture.upstream.requests(), 1);
    door.fixture.wait_until("both are counted", |fixture| handshakes(fixture, "failed") == 2);
}

#[test]
fn an_expired_certificate_of_a_client_is_refused() {
    let door = door("required");
    let key = rcgen::KeyPair::generate().expect("a key");
    let expired = door.clients.issue(&["somebody"], &key, |params| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let refused = door.asks(&door.settings(Some(&expired))).expect_err("it has expired");
    assert!(refused.contains("CertificateExpired"), "{refused}");
}

#[test]
fn an_optional_certificate_may_be_missing_but_not_wrong() {
    let door = door("optional");
    let foreign = Authority::new("foreign").client("somebody");
    door.asks(&door.settings(None)).expect("none is asked for");
    door.asks(&door.settings(Some(&door.clients.client("somebody")))).expect("it is known");
    door.asks(&door.settings(Some(&foreign))).expect_err("nobody knows its authority");
}

#[test]
fn no_session_of_a_client_with_a_certificate_is_resumed() {
    let door = door("required");
    let known = door.clients.client("somebody");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let settings = TlsSettings::speaking(&door.authority, &[version], Some(&known));
        for _ in 0..3 {
            assert_eq!(door.asks(&settings), Ok(false), "it is verified each time");
        }
    }
    assert_eq!((handshakes(&door.fixture, "full"), handshakes(&door.fixture, "resumed")), (6, 0));
}
