//! Handshakes cost a worker time, and its streams do not wait for all of it.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use loadtest::upstream::{Script, Upstream};
use rustls::version::TLS13;

use super::{clear, handshakes, listen, ready, text};
use crate::door::authority::{Authority, Issued};
use crate::door::tls_client::TlsSettings;
use crate::support::fixture::{Fixture, scratch};
use crate::support::size::bound;

/// What a stream has, and the time between two.
const TOKENS: u64 = 200;
const EVERY: Duration = Duration::from_millis(5);

/// Clients that do nothing but shake hands, as fast as they can.
struct Crowd {
    stop: Arc<AtomicBool>,
    shaken: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn at(fixture: &Fixture, settings: &TlsSettings, clients: usize) -> Self {
        let mut crowd = Self { stop: Arc::default(), shaken: Arc::default(), clients: Vec::new() };
        let address = fixture.address();
        for _ in 0..clients {
            let (stop, shaken) = (Arc::clone(&crowd.stop), Arc::clone(&crowd.shaken));
            let settings = settings.clone();
            crowd.clients.push(thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    settings.connect(address, "localhost").expect("a handshake");
                    shaken.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        crowd
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("no handshake failed");
        }
        self.shaken.load(Ordering::Relaxed)
    }
}

fn behind(issue: impl Fn(&Authority) -> Issued) -> (Fixture, TlsSettings) {
    let (folder, authority) = (scratch(), Authority::new("ours"));
    issue(&authority).write(&folder, "a");
    let script = Script::new().stream().tokens(TOKENS, EVERY).done();
    let upstream = clear(Upstream::builder().script(script));
    let text = text(&upstream, &listen(&folder, &["a"], ""), "");
    let settings = TlsSettings::speaking(&authority, &[&TLS13], None).without_sessions();
    (ready(upstream, &text), settings)
}

/// The longest times between two of its tokens beyond the time between two that were sent, in order.
fn late(fixture: &Fixture, settings: &TlsSettings) -> Vec<Duration> {
    let settings = settings.clone().alpn(&["http/1.1"]);
    let mut client = settings.connect(fixture.address(), "localhost").expect("a handshake");
    write!(client.0, "GET /v1/chat HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it reads");
    client.read_to("\"content\":\" token\"").expect("a token");
    let mut last = Instant::now();
    let mut late: Vec<_> = (1..TOKENS)
        .map(|_| {
            client.read_to("\"content\":\" token\"").expect("a token");
            let now = Instant::now();
            now.duration_since(std::mem::replace(&mut last, now)).saturating_sub(EVERY)
        })
        .collect();
    client.read_to("data: [DONE]\n\n").expect("the end");
    late.sort_unstable();
    late
}

#[test]
fn many_handshakes_at_once_all_succeed_and_streams_go_on_between_them() {
    for (key, issue) in [
        ("ecdsa", (|authority| authority.server(&["localhost"])) as fn(&Authority) -> Issued),
        ("rsa", |authority| authority.rsa_server(&["localhost"])),
    ] {
        let (fixture, settings) = behind(issue);
        let alone = late(&fixture, &settings);
        let crowd = Crowd::at(&fixture, &settings, 4);
        let begun = Instant::now();
        let beside = late(&fixture, &settings);
        let (took, shaken) = (begun.elapsed(), crowd.end());
        let p = |late: &[Duration], percent: usize| late[late.len() * percent / 100];
        println!(
            "{key}: {shaken} handshakes in {took:?}; tokens late by p50 {:?} p99 {:?}, alone p50 \
             {:?} p99 {:?}",
            p(&beside, 50),
            p(&beside, 99),
            p(&alone, 50),
            p(&alone, 99)
        );
        assert!(shaken > 8, "they are made beside the stream");
        assert_eq!(handshakes(&fixture, "failed"), 0);
        // All that wait at a time, one after the other, take longer than this by far.
        assert!(p(&beside, 50) < bound(Duration::from_millis(50), Duration::from_millis(1)));
    }
}
