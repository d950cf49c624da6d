//! Upstreams whose names move, fail, or lead to several addresses of which not all answer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use loadtest::tls::CertificateSpec;
use loadtest::upstream::{Builder, Cut, Log, Script, Seen, Upstream};
use rustix::process::Signal;

use crate::support::fixture::{PATIENCE, scratch};
use crate::support::peers::name_service::{NameService, Says};
use crate::support::peers::raw_http1::Client;
use crate::support::program::Program;
use crate::support::size::bound;

const NAME: &str = "model.firstbyte.test";
const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Behind the other in the system's order (RFC 6724, rule 9): the source address is 127.0.0.1.
const THERE: Ipv4Addr = Ipv4Addr::new(127, 128, 0, 1);

fn says(addresses: &[Ipv4Addr]) -> Says {
    Says::Addresses(addresses.iter().copied().map(IpAddr::V4).collect())
}

/// Answers with where it is; `/v1/long` lasts until it is told to end.
fn at(address: SocketAddr) -> Builder {
    Upstream::builder().clear().http2().bind(address).respond(move |seen: &Seen| {
        if seen.path == "/v1/long" {
            return Script::new().stream().body("data: x\n\n").stall();
        }
        Script::new().answer(200, &[], address.ip().to_string())
    })
}

/// Two upstreams at the two addresses and one port.
fn pair(make: impl Fn(SocketAddr, SocketAddr) -> [Builder; 2]) -> [Upstream; 2] {
    for _ in 0..20 {
        let probe = std::net::TcpListener::bind((HERE, 0)).expect("a port");
        let port = probe.local_addr().expect("an address").port();
        drop(probe);
        let [here, there] = make((HERE, port).into(), (THERE, port).into());
        // Somebody may have taken the port meanwhile.
        if let (Ok(here), Ok(there)) = (here.start(), there.start()) {
            return [here, there];
        }
    }
    panic!("no port is free at both addresses");
}

/// A configuration whose upstream has a name.
fn config(scheme: &str, port: u16, upstream: &str) -> String {
    format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: off\n\
         upstreams:\n  mock:\n    url: {scheme}://{NAME}:{port}/v1\n    protocol: http2\n{upstream}\
         routes:\n  - path: /v1\n    upstream: mock\n"
    )
}

/// Asked so often that no test waits for it.
const OFTEN: &str = "    dns:\n      interval: 100ms\n";

fn ready(program: &Program) {
    program.wait_until("it is ready", |program| program.status("/readyz") == 200);
}

/// Who answered.
fn ask(program: &Program) -> String {
    let mut client = Client::to(program.address);
    client.ask("/v1/chat/completions", b"{}");
    let answer = client.answer().expect("an answer");
    assert_eq!((answer.status, answer.whole), (200, true), "{}", answer.text());
    answer.text()
}

fn open(log: &Log) -> usize {
    log.connections.iter().filter(|c| c.ready_ns.is_some() && c.closed.is_none()).count()
}

/// The streams of the old address end when they end; nothing new goes there, and nobody waits.
#[test]
fn a_name_that_moves_takes_new_requests_along_and_lets_open_streams_finish() {
    let Some(names) = NameService::start(says(&[HERE])) else { return };
    let [here, there] = pair(|here, there| [at(here), at(there)]);
    let program = names.program(&config("http", here.addr().port(), OFTEN));
    ready(&program);
    assert_eq!(ask(&program), HERE.to_string());
    let mut lasting = Client::to(program.address);
    lasting.ask("/v1/long", b"{}");
    assert!(lasting.wait_for("data: x"));
    names.say(says(&[THERE]));
    program
        .wait_until("requests go to the new address", |program| ask(program) == THERE.to_string());
    assert!(here.wait_for(|log| open(log) == 1, PATIENCE), "what carries nothing is closed");
    for _ in 0..20 {
        assert_eq!(ask(&program), THERE.to_string());
    }
    let lasting_on = here.log().requests.iter().find(|seen| seen.path == "/v1/long").cloned();
    assert_eq!(lasting_on.expect("it came").end, None, "the open stream goes on");
    drop(lasting);
    assert!(here.wait_for(|log| open(log) == 0, PATIENCE), "and its connection goes with it");
    assert_eq!(open(&there.log()), 2);
    assert_eq!(program.count(r#"firstbyte_cold_requests_total{upstream="mock"}"#), 0);
    assert_eq!(program.count(r#"firstbyte_dns_changes_total{upstream="mock"}"#), 1);
}

const FAILURES: &str = r#"firstbyte_dns_failures_total{upstream="mock"}"#;

/// By default, and with a TTL of one second.
#[test]
fn a_new_address_is_used_within_its_ttl_and_five_seconds_and_no_dns_for_long_costs_no_request() {
    let Some(names) = NameService::start(says(&[HERE])) else { return };
    let [here, _there] = pair(|here, there| [at(here), at(there)]);
    let program = names.program(&config("http", here.addr().port(), ""));
    ready(&program);
    let mut client = Client::to(program.address);
    let mut who = || {
        client.ask("/v1/chat/completions", b"{}");
        let answer = client.answer().expect("an answer");
        assert_eq!((answer.status, answer.whole), (200, true), "{}", answer.text());
        answer.text()
    };
    assert_eq!(who(), HERE.to_string());
    names.say(says(&[THERE]));
    let moved = Instant::now();
    while who() != THERE.to_string() {
        assert!(
            moved.elapsed() < bound(2 * PATIENCE, Duration::from_secs(6)),
            "it is not followed"
        );
    }
    names.say(Says::Nothing);
    let (silent, mut requests) = (Instant::now(), 0_u64);
    while silent.elapsed() < bound(Duration::from_secs(6), Duration::from_secs(600)) {
        assert_eq!(who(), THERE.to_string());
        requests += 1;
    }
    println!("followed after {:?} at most; {requests} requests without DNS", silent - moved);
    assert!(program.count(FAILURES) > 0, "it was not asked meanwhile");
}

/// It fails in each way there is, and connections are lost meanwhile: they are made anew to the last
/// address known.
#[test]
fn a_name_service_that_fails_costs_a_warm_pool_nothing() {
    let Some(names) = NameService::start(says(&[HERE])) else { return };
    let [here, _there] = pair(|here, there| [at(here), at(there)]);
    let program = names.program(&config("http", here.addr().port(), OFTEN));
    ready(&program);
    for failure in [Says::Failure, Says::NoSuchName, Says::Nothing, says(&[])] {
        let before = program.count(FAILURES);
        names.say(failure.clone());
        program.wait_until("it has failed twice", |program| {
            assert_eq!(ask(program), HERE.to_string(), "{failure:?}");
            program.count(FAILURES) >= before + 2
        });
        let made = here.log().connections.len();
        here.cut_all(Cut::Fin);
        let anew = |log: &Log| log.connections.len() >= made + 2 && open(log) == 2;
        assert!(here.wait_for(anew, PATIENCE), "{failure:?}");
        let ready = r#"firstbyte_upstream_connections{upstream="mock",state="ready"}"#;
        program.wait_until("both are back", |program| program.count(ready) == 2);
        assert_eq!(ask(&program), HERE.to_string(), "{failure:?}");
    }
    assert_eq!(program.count(r#"firstbyte_dns_addresses{upstream="mock"}"#), 1);
    names.say(says(&[THERE]));
    program.wait_until("it is heard again", |program| ask(program) == THERE.to_string());
}

/// With new limits, and so with new connections.
#[test]
fn a_reload_while_the_name_service_fails_keeps_the_addresses_that_are_known() {
    let Some(names) = NameService::start(says(&[HERE])) else { return };
    let [here, _there] = pair(|here, there| [at(here), at(there)]);
    let file = scratch().join("firstbyte.yaml");
    let before = config("http", here.addr().port(), OFTEN);
    std::fs::write(&file, &before).expect("a file");
    let program = names.program_of(&file);
    ready(&program);
    names.say(Says::Failure);
    program.wait_until("it fails", |program| program.count(FAILURES) > 0);
    let made = here.log().connections.len();
    let pool = format!("{OFTEN}    pool:\n      min_connections: 3\n");
    std::fs::write(&file, before.replace(OFTEN, &pool)).expect("a file");
    program.signal(Signal::HUP);
    let applied = r#"firstbyte_reloads_total{result="applied"}"#;
    program.wait_until("it is reloaded", |program| program.count(applied) == 1);
    assert_eq!(ask(&program), HERE.to_string());
    let anew = |log: &Log| log.connections.len() == made + 3 && open(log) == 3;
    assert!(here.wait_for(anew, PATIENCE), "they are made to the address that was known");
}

#[test]
fn an_upstream_whose_name_is_made_later_is_found_by_itself() {
    let Some(names) = NameService::start(Says::NoSuchName) else { return };
    let [here, _there] = pair(|here, there| [at(here), at(there)]);
    let program = names.program(&config("http", here.addr().port(), OFTEN));
    let mut client = Client::to(program.address);
    client.ask("/v1/chat/completions", b"{}");
    let answer = client.answer().expect("an answer");
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("dns_error"), "{}", answer.text());
    assert_eq!(program.status("/readyz"), 503);
    names.say(says(&[HERE]));
    ready(&program);
    assert_eq!(ask(&program), HERE.to_string());
}

/// The interval is a week, and the address that is known is dead: the connects that fail have the name
/// asked again.
#[test]
fn connects_that_fail_have_the_name_resolved_ahead_of_its_time() {
    let Some(names) = NameService::start(says(&[HERE])) else { return };
    let [here, there] = pair(|here, there| [at(here), at(there)]);
    let program =
        names.program(&config("http", here.addr().port(), "    dns:\n      interval: 168h\n"));
    ready(&program);
    let asked = names.asked();
    names.say(says(&[THERE]));
    assert_eq!(ask(&program), HERE.to_string());
    assert_eq!(names.asked(), asked, "nobody doubts it");
    drop(here);
    program.wait_until("the new address is found", |_| open(&there.log()) == 2);
    program.wait_until("it is ready", |program| {
        program.count(r#"firstbyte_upstream_connections{upstream="mock",state="ready"}"#) == 2
    });
    assert_eq!(ask(&program), THERE.to_string());
}

/// The first address takes the connection and then says nothing: with one after the other, the whole
/// deadline of a minute would be its own.
#[test]
fn an_address_that_stalls_in_its_handshake_is_passed_by() {
    let Some(names) = NameService::start(says(&[HERE, THERE])) else { return };
    let spec = || CertificateSpec { names: Some(vec![NAME.into()]), ..CertificateSpec::default() };
    let [stalls, well] = pair(|here, there| {
        let ok = move |_: &Seen| Script::new().answer(200, &[], there.ip().to_string());
        let well = Upstream::builder().http2().certificate(spec()).bind(there).respond(ok);
        [Upstream::builder().silent_handshake().bind(here), well]
    });
    let ca = scratch().join("ca.pem");
    well.write_ca(&ca).expect("the certificate can be written");
    let upstream = format!("    ca_file: {}\n    deadlines:\n      connect: 1m\n", ca.display());
    let program = names.program(&config("https", well.addr().port(), &upstream));
    assert!(PATIENCE < Duration::from_secs(30), "half of the deadline");
    ready(&program);
    assert_eq!(ask(&program), THERE.to_string());
    assert!(!stalls.log().connections.is_empty(), "it was tried first");
}
