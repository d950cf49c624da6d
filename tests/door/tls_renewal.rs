//! Certificates are replaced while the proxy serves: no handshake fails, no stream is cut, sessions resume.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use loadtest::upstream::{Script, Seen, Upstream};
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};

use super::{behind_tls, clear, listen, text};
use crate::door::authority::{Authority, Issued};
use crate::door::tls_client::TlsSettings;
use crate::operate::reload::{applied, reload};
use crate::support::fixture::{Fixture, scratch};
use crate::support::generations::Generations;
use crate::support::size::size;

/// A stream that lasts until its request ends, or a short answer.
fn lasting() -> loadtest::upstream::Builder {
    Upstream::builder().respond_early(|seen: &Seen| match seen.path_only() {
        "/v1/long" => Script::new().early().stream().tokens(1, Duration::ZERO).await_body().done(),
        _ => Script::new().answer(200, &[], "{}"),
    })
}

fn shown(settings: &TlsSettings, address: std::net::SocketAddr) -> CertificateDer<'static> {
    let client = settings.connect(address, "localhost").expect("a handshake");
    client.certificate().expect("a certificate")
}

#[test]
fn renewals_under_load_fail_no_handshake_and_cut_no_stream() {
    let (fixture, authority, folder) = behind_tls(lasting(), "");
    let address = fixture.address();
    let settings = TlsSettings::trusting(&authority).alpn(&["http/1.1"]).without_sessions();
    let mut stream = settings.connect(address, "localhost").expect("a handshake");
    let head = "POST /v1/long HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    write!(stream.0, "{head}2\r\n{{}}\r\n").expect("it reads");
    stream.read_to("\"content\":\" token\"").expect("a token");
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<JoinHandle<()>> = (0..4)
        .map(|_| {
            let (stop, asked, settings) = (Arc::clone(&stop), Arc::clone(&asked), settings.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut client = settings.connect(address, "localhost").expect("a handshake");
                    let answer = client.get("/v1/models").expect("an answer");
                    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..size(10, 100) {
        let before = asked.load(Ordering::Relaxed);
        let issued = authority.server(&["localhost"]);
        issued.write(&folder, "a");
        applied(&fixture);
        assert_eq!(shown(&settings, address), issued.certificate, "the next handshake has it");
        fixture.wait_until("clients come meanwhile", |_| {
            asked.load(Ordering::Relaxed) > before || clients.iter().any(JoinHandle::is_finished)
        });
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("no handshake failed");
    }
    write!(stream.0, "0\r\n\r\n").expect("it reads");
    stream.read_to("data: [DONE]\n\n\r\n0\r\n\r\n").expect("it was not cut");
    assert_eq!(super::handshakes(&fixture, "failed"), 0);
}

#[test]
fn a_faulty_pair_leaves_the_last_good_one_in_use_and_is_named() {
    let (fixture, authority, folder) = behind_tls(lasting(), "");
    let settings = TlsSettings::trusting(&authority).without_sessions();
    let good = shown(&settings, fixture.address());
    let other = authority.server(&["localhost"]);
    let refuses = |fixture: &Fixture, why: &str| {
        let (status, page) = reload(fixture);
        assert!(status >= 400 && page["faults"].to_string().contains(why), "{page}");
        assert_eq!(shown(&settings, fixture.address()), good);
    };
    fs::write(folder.join("a.pem"), &other.chain).expect("a file");
    refuses(&fixture, "is not the key of the certificate");
    fs::write(folder.join("a.key"), "no key").expect("a file");
    refuses(&fixture, "contains no private key");
    fs::write(folder.join("a.pem"), "").expect("a file");
    refuses(&fixture, "contains no certificate");
    fs::remove_file(folder.join("a.pem")).expect("a file");
    refuses(&fixture, "can't be read");
    other.write(&folder, "a");
    applied(&fixture);
    assert_eq!(shown(&settings, fixture.address()), other.certificate);
}

#[test]
fn sessions_resume_over_reloads_and_new_certificates() {
    let (fixture, authority, folder) = behind_tls(lasting(), "");
    for version in [&TLS12, &TLS13] {
        let settings = TlsSettings::speaking(&authority, &[version], None);
        let resumes = || {
            let mut client = settings.connect(fixture.address(), "localhost").expect("a handshake");
            client.get("/v1/models").expect("an answer");
            client.is_resumed()
        };
        assert!(!resumes(), "it is the first");
        assert!(resumes());
        applied(&fixture);
        assert!(resumes(), "after a reload");
        authority.server(&["localhost"]).write(&folder, "a");
        applied(&fixture);
        assert!(resumes(), "after a new certificate");
    }
}

#[test]
fn when_a_certificate_expires_is_a_metric_that_follows_reloads() {
    let (fixture, authority, folder) = behind_tls(lasting(), "");
    let series = format!(
        "firstbyte_tls_certificate_expiry_timestamp_seconds{{certificate=\"{}/a.pem\"}}",
        folder.display()
    );
    let before = fixture.count(&series);
    let key = rcgen::KeyPair::generate().expect("a key");
    let issued = authority.issue(&["localhost"], &key, |params| {
        params.not_after = rcgen::date_time_ymd(2099, 1, 1);
    });
    issued.write(&folder, "a");
    applied(&fixture);
    assert_ne!(before, 0);
    assert_eq!(fixture.count(&series), 4_070_908_800);
}

/// As Kubernetes mounts a secret, or certbot keeps its files: what the configuration names are links.
fn link_to(folder: &Path, generation: &str, issued: &Issued) {
    fs::create_dir_all(folder.join(generation)).expect("a folder");
    issued.write(&folder.join(generation), "a");
    let data = folder.join("..data");
    symlink(generation, folder.join("..data_tmp")).expect("a link");
    fs::rename(folder.join("..data_tmp"), data).expect("it is moved at once");
}

#[test]
fn a_link_that_is_moved_to_a_new_pair_is_noticed_and_who_connects_meanwhile_served() {
    let (folder, authority) = (scratch(), Authority::new("ours"));
    let mut issued = authority.server(&["localhost"]);
    link_to(&folder, "1", &issued);
    for end in ["pem", "key"] {
        symlink(format!("..data/a.{end}"), folder.join(format!("a.{end}"))).expect("a link");
    }
    let upstream = clear(lasting());
    let text = text(&upstream, &listen(&folder, &["a"], ""), "reload: on_change\n");
    let all = Generations::start(&text);
    let settings = TlsSettings::trusting(&authority).without_sessions();
    for generation in ["2", "3"] {
        issued = authority.server(&["localhost"]);
        link_to(&folder, generation, &issued);
        all.wait_until("the new one is shown", |all| {
            shown(&settings, all.address) == issued.certificate
        });
    }
    let told = |all: &Generations| all.said().matches("TLS certificate replaced").count() == 2;
    all.wait_until("both are told", told);
}

#[test]
fn a_process_that_takes_over_goes_on_with_tls() {
    let (folder, authority) = (scratch(), Authority::new("ours"));
    authority.server(&["localhost"]).write(&folder, "a");
    let upstream = clear(lasting());
    let text = text(&upstream, &listen(&folder, &["a"], ""), "client: { drain: 1h }\n");
    let all = Generations::start(&text);
    let settings = TlsSettings::trusting(&authority).alpn(&["http/1.1"]).without_sessions();
    let mut stream = settings.connect(all.address, "localhost").expect("a handshake");
    let head = "POST /v1/long HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    write!(stream.0, "{head}2\r\n{{}}\r\n").expect("it reads");
    stream.read_to("\"content\":\" token\"").expect("a token");
    let renewed = authority.server(&["localhost"]);
    renewed.write(&folder, "a");
    all.upgrade();
    // The old one still answers what the kernel had given it.
    all.wait_until("the new one is shown, which reads the files itself", |all| {
        shown(&settings, all.address) == renewed.certificate
    });
    write!(stream.0, "0\r\n\r\n").expect("it reads");
    stream.read_to("data: [DONE]\n\n\r\n0\r\n\r\n").expect("it was not cut");
}

#[test]
fn what_ends_soon_or_has_ended_is_said_at_the_start() {
    let (folder, authority) = (scratch(), Authority::new("ours"));
    let key = || rcgen::KeyPair::generate().expect("a key");
    let now = std::time::SystemTime::now();
    let soon = authority.issue(&["localhost"], &key(), |params| {
        params.not_after = (now + Duration::from_secs(13 * 24 * 3600 + 3600)).into();
    });
    let over = authority.issue(&["localhost"], &key(), |params| {
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    soon.write(&folder, "soon");
    over.write(&folder, "over");
    let upstream = clear(lasting());
    let text = text(&upstream, &listen(&folder, &["soon", "over"], ""), "");
    let all = Generations::start(&text);
    let said = all.said();
    let line = |what: &str| said.lines().find(|line| line.contains(what)).expect("it is said");
    let soon = line("expires soon");
    assert!(soon.contains("soon.pem") && soon.contains("days=13"), "{soon}");
    assert!(line("has expired").contains("over.pem"));
}
