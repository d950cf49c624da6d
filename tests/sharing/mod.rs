//! Limits that several processes share by Redis or Valkey, and what holds while they cannot.

mod cluster;
mod documented;
mod exact;
mod loss;
mod operation;
mod relay;
mod reload;
mod replicas;
pub(crate) mod server;
mod slots;
mod stored;

use std::fs;
use std::time::{Duration, Instant};

use loadtest::upstream::Upstream;

use crate::keys::{ask, file};
use crate::support::fixture::{PATIENCE, scratch};
use crate::support::installed::installed;
use crate::support::message::Answer;
use crate::support::peers::http1_client::Http1;
use crate::support::program::Program;
use server::Redis;

/// How long what a process says of itself holds.
const HOLD: Duration = Duration::from_secs(4);

/// A server; `None`, said loudly, where none is installed.
fn server(arguments: &[&str]) -> Option<Redis> {
    Some(Redis::start(&installed("redis-server")?, arguments))
}

/// Redis and Valkey, those that are installed.
fn each_server() -> Vec<Redis> {
    let programs = ["redis-server", "valkey-server"].into_iter().filter_map(installed);
    programs.map(|program| Redis::start(&program, &[])).collect()
}

/// A process in front of `upstream` whose clients' limits are shared by `server`; `section`: more of `redis`.
fn replica(upstream: &Upstream, server: &Redis, section: &str, clients: &str) -> Program {
    let redis = format!("redis: {{ url: 'redis://{}'{section} }}\n", server.address);
    let program = start(upstream, &format!("{redis}{clients}"));
    shared(&program);
    program
}

fn start(upstream: &Upstream, rest: &str) -> Program {
    let path = scratch().join("firstbyte.yaml");
    fs::write(&path, file(upstream, 1, rest)).expect("the file can be written");
    let program = Program::start(&path);
    program.wait_until("it is ready", |one| one.status("/readyz") == 200);
    program
}

/// Waits until it shares its limits.
fn shared(program: &Program) {
    program.wait_until("limits are shared", |one| one.count("firstbyte_redis_connected") == 1);
}

/// Waits until it knows of so many processes.
fn knows_of(program: &Program, instances: u64) {
    program.wait_until("it knows of the others", |one| {
        one.count("firstbyte_redis_instances") == instances
    });
}

/// Waits for less time than what a process says of itself holds at the server, so that what is awaited was said.
fn wait_shortly(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < HOLD / 2, "{what}: nobody says so");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// One request of a client on a connection of its own.
fn asked(program: &Program, name: &str) -> Answer {
    Http1::new(program.connect()).ask(&ask(name))
}

/// How many of `count` requests pass, and the longest that one of them took.
fn pass(program: &Program, name: &str, count: usize) -> (usize, Duration) {
    let mut client = Http1::new(program.connect());
    let (mut passed, mut longest) = (0, Duration::ZERO);
    for _ in 0..count {
        let begun = Instant::now();
        let status = client.ask(&ask(name)).status;
        longest = longest.max(begun.elapsed());
        assert!(status == 200 || status == 429, "{status}");
        passed += usize::from(status == 200);
    }
    (passed, longest)
}

/// Waits for a state that no metric has.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

fn client(name: &str, limits: &str) -> String {
    format!("  - {{ name: {name}, key: {}, {limits} }}\n", crate::keys::key(name))
}
