//! Clients that are known by their certificates.

use std::io::Write;

use loadtest::upstream::{Script, Upstream};
use rcgen::{ExtendedKeyUsagePurpose, KeyPair, SanType};

use super::key;
use crate::door::authority::{Authority, Issued};
use crate::door::tls_client::TlsSettings;
use crate::door::{clear, listen, ready, text};
use crate::support::fixture::{Fixture, scratch};

struct Door {
    fixture: Fixture,
    authority: Authority,
    clients: Authority,
}

fn door() -> Door {
    let folder = scratch();
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    authority.server(&["localhost"]).write(&folder, "a");
    std::fs::write(folder.join("clients.pem"), clients.pem()).expect("a file");
    let upstream = clear(Upstream::builder().script(Script::new().answer(200, &[], "{}")));
    let more = format!(", client_ca: {}/clients.pem, client_auth: optional", folder.display());
    let known = format!(
        "clients:\n  - name: by-host\n    certificate: DNS:App.Internal\n\
         \x20 - name: by-uri\n    certificate: [\"URI:spiffe://test/ns/a/sa/b\"]\n\
         \x20 - name: by-key\n    key: {}\n",
        key("by-key")
    );
    let text = text(&upstream, &listen(&folder, &["a"], &more), &known);
    Door { fixture: ready(upstream, &text), authority, clients }
}

impl Door {
    fn issued(&self, change: impl FnOnce(&mut Vec<SanType>)) -> Issued {
        let key = KeyPair::generate().expect("a key");
        self.clients.issue(&["app.internal"], &key, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            change(&mut params.subject_alt_names);
        })
    }

    /// The status of a request with this certificate and this line in its head.
    fn ask(&self, certificate: Option<&Issued>, line: &str) -> String {
        let settings = TlsSettings::speaking(&self.authority, rustls::ALL_VERSIONS, certificate);
        let settings = settings.alpn(&["http/1.1"]);
        let mut client = settings.connect(self.fixture.address(), "localhost").expect("TLS");
        write!(
            client.0,
            "GET /v1/models HTTP/1.1\r\nhost: localhost\r\n{line}connection: close\r\n\r\n"
        )
        .expect("it is read");
        let head = client.read_to("\r\n\r\n").expect("an answer");
        head.split(' ').nth(1).unwrap_or_default().to_owned()
    }
}

#[test]
fn a_certificates_names_stand_for_a_client_where_no_key_is_sent() {
    let door = door();
    let host = door.issued(|_| {});
    let uri = door.issued(|names| {
        *names = vec![SanType::URI("spiffe://test/ns/a/sa/b".try_into().expect("ASCII"))];
    });
    let nobody = door.issued(|names| {
        *names = vec![SanType::URI("spiffe://test/ns/a/sa/c".try_into().expect("ASCII"))];
    });
    let bearer = format!("authorization: Bearer {}\r\n", key("by-key"));
    assert_eq!(door.ask(Some(&host), ""), "200");
    assert_eq!(door.ask(Some(&uri), ""), "200");
    assert_eq!(door.ask(Some(&nobody), ""), "401");
    assert_eq!(door.ask(None, ""), "401");
    assert_eq!(door.ask(None, &bearer), "200");
    assert_eq!(door.ask(Some(&host), &bearer), "200", "the key says who asks");
    assert_eq!(
        door.ask(Some(&host), "authorization: Bearer sk-wrong\r\n"),
        "401",
        "as does a wrong one"
    );
    let log = door.fixture.access_log();
    let names: Vec<_> =
        log.iter().map(|line| line["client_name"].as_str().unwrap_or("-")).collect();
    assert_eq!(names, ["by-host", "by-uri", "-", "-", "by-key", "by-key", "-"]);
}
