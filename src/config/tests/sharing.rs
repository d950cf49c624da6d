//! `redis`: what it means, its faults, and what is never said of it.

use super::{World, least};
use crate::config::{Config, OnLoss, RedisAddress, changes};

const CANARY: &str = "canary-of-redis";

fn world() -> World {
    World::default().var("P", CANARY).file("/etc/nothing.pem", "no certificate")
}

fn read(section: &str) -> Config {
    world().read(&format!("{}redis: {{ {section} }}\n", least("", ""))).unwrap()
}

#[track_caller]
fn assert_fault(section: &str, words: &str) {
    let faults = world().faults(&format!("{}redis: {{ {section} }}\n", least("", "")));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains(words), "{faults:?}");
    assert!(!faults[0].contains("canary"), "{faults:?}");
}

#[test]
fn a_server_is_named_by_its_url_and_the_rest_has_defaults() {
    let redis = read("url: 'redis://cache'").redis.unwrap();
    let tcp = |host: &str, port, tls| RedisAddress::Tcp { host: host.into(), port, tls };
    assert_eq!(redis.address, tcp("cache", 6379, false));
    assert_eq!((redis.exact, redis.on_loss, redis.timeout.as_millis()), (false, OnLoss::Local, 50));
    assert_eq!(&*redis.prefix, "firstbyte");
    let address = |url: &str| read(&format!("url: '{url}'")).redis.unwrap().address;
    assert_eq!(address("rediss://cache:7000/"), tcp("cache", 7000, true));
    assert_eq!(address("valkeys://[::1]:1"), tcp("::1", 1, true));
    assert_eq!(address("unix:/run/redis.sock"), RedisAddress::Unix("/run/redis.sock".into()));
    assert_eq!(address("rediss://cache:7000").to_string(), "rediss://cache:7000");
    assert!(world().read(&least("", "")).unwrap().redis.is_none());
}

#[test]
fn what_cannot_be_meant_is_refused_and_no_password_is_quoted() {
    assert_fault("url: 'redis://u:canary-x@cache'", "write them under `username:`");
    assert_fault("url: 'http://cache'", "has an unknown scheme");
    assert_fault("url: 'cache:6379'", "has no scheme");
    assert_fault("url: 'redis://cache/2'", "under `database:`");
    assert_fault("url: 'redis://cache:0'", "port");
    assert_fault("url: 'redis://cache', ca_file: nothing.pem", "no effect without TLS");
    assert_fault("url: 'rediss://cache', ca_file: nothing.pem", "contains no certificate");
    assert_fault("url: 'redis://cache', cluster: true, database: 2", "only database 0");
    assert_fault("url: 'unix:/run/s', cluster: true", "nodes are found by their addresses");
    assert_fault("url: 'redis://cache', prefix: 'a{b}'", "is not a prefix");
    assert_fault("url: 'redis://cache', on_loss: open", "write one of local, deny, allow");
    assert_fault("url: 'redis://cache', password: ''", "is empty");
}

#[test]
fn its_password_is_not_shown_and_a_change_of_it_is_a_change() {
    let (one, other) =
        (read("url: 'redis://c', password: '${P}'"), read("url: 'redis://c', password: x"));
    assert!(!format!("{one:?}").contains(CANARY));
    assert_eq!(changes(&one, &other), ["redis"]);
    assert!(changes(&one, &one.clone()).is_empty());
}
