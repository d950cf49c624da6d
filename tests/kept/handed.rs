//! A process takes over from another one, and with its listeners has its store.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use rustix::process::Signal;

use super::{body, chats, connected, file, key, line, upstream, usage};
use crate::support::generations::Generations;

/// A chat that lasts until [`end`].
fn begin(address: SocketAddr, client: &str) -> TcpStream {
    let mut stream = connected(address);
    write!(
        stream,
        "POST /v1/long HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         transfer-encoding: chunked\r\n\r\nd\r\n{{\"model\":\"m\"}}\r\n",
        key(client)
    )
    .expect("the proxy reads");
    read_to(&mut stream, "\"content\":\" token\"");
    stream
}

fn end(mut stream: TcpStream) {
    stream.write_all(b"0\r\n\r\n").expect("the proxy reads");
    read_to(&mut stream, "data: [DONE]\n\n\r\n0\r\n\r\n");
}

fn read_to(stream: &mut TcpStream, end: &str) {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(end.as_bytes()) {
        stream.read_exact(&mut byte).expect("the stream goes on");
        text.push(byte[0]);
    }
}

fn asked(all: &Generations) -> Vec<String> {
    let page = all.page("/usage?since=2020-01-01&by=client&format=csv");
    body(&page).lines().skip(1).map(str::to_owned).collect()
}

fn journals(store: &Path) -> usize {
    let names = fs::read_dir(store).expect("a folder").map(|one| one.expect("a file").file_name());
    names.filter(|name| name.to_str().expect("UTF-8").starts_with("journal-")).count()
}

const BUDGET: &str = "budget: { tokens: 100000, per: total }";

/// Tokens that are left of it.
fn left(all: &Generations) -> f64 {
    let page = all.page("/metrics");
    let series = "firstbyte_client_balance{client=\"a\",limit=\"budget_tokens\"}";
    crate::support::fixture::sum_of(&page, series)
}

#[test]
fn what_three_generations_charge_adds_up_to_what_was_served_with_streams_running() {
    let upstream = upstream();
    let text = file(&upstream, &[("a", BUDGET), ("b", "disabled: false")], "");
    let mut all = Generations::start(&text);
    let store = all.folder.join("store");
    let mut lasting = Vec::new();
    for generation in 1..=3 {
        lasting.extend([begin(all.address, "a"), begin(all.address, "b")]);
        chats(all.address, "a", 2);
        if generation < 3 {
            all.upgrade();
            assert_eq!(journals(&store), generation, "each that drains writes one");
        }
    }
    assert_eq!(asked(&all), [line("a", 6)], "what has ended; streams count at their end");
    for stream in lasting {
        end(stream);
    }
    assert_eq!(all.first_ended().code(), Some(0));
    let sum = [line("a", 9), line("b", 3)];
    all.wait_until("the newest knows of all", |all| asked(all) == sum);
    all.wait_until("their journals are read to the end", |_| journals(&store) == 0);
    let tokens = 9.0 * 110.0;
    assert!((left(&all) - (100_000.0 - tokens)).abs() < 1e-9, "{}", left(&all));
    assert_eq!(usage(&store), sum, "the command asks the one that has the store");
    all.signal(Signal::TERM);
    all.wait_until("it has ended", |all| all.said().matches("cut=0").count() == 3);
    assert_eq!(usage(&store), sum);
}

#[test]
fn a_successor_that_cannot_start_leaves_the_old_one_with_its_store() {
    let upstream = upstream();
    let good = file(&upstream, &[("a", BUDGET)], "");
    let all = Generations::start(&good);
    let store = all.folder.join("store");
    chats(all.address, "a", 1);
    all.write_config(&good.replace("routes:", "rotues:"));
    all.signal(Signal::USR2);
    all.wait_said("handover failed, this process continues");
    chats(all.address, "a", 1);
    assert_eq!((asked(&all), journals(&store)), (vec![line("a", 2)], 0));
}

#[test]
fn a_successor_that_fails_once_it_has_the_store_gives_it_back() {
    let upstream = upstream();
    let all = Generations::start(&file(&upstream, &[("a", BUDGET)], ""));
    let store = all.folder.join("store");
    chats(all.address, "a", 1);
    // Something else stands where the successor looks: it lets go of the store by its end.
    let (database, away) = (store.join("usage.redb"), store.join("away"));
    all.wait_until("it is there", |_| database.is_file());
    fs::rename(&database, &away).expect("a file");
    fs::create_dir(&database).expect("a folder");
    all.signal(Signal::USR2);
    all.wait_said("handover failed, this process continues");
    assert!(all.said().contains("cannot open or write"), "{}", all.said());
    // It counts on, in memory and in a journal, for whoever opens the store next.
    chats(all.address, "a", 2);
    assert!(all.page("/usage").starts_with("HTTP/1.1 503 "), "{}", all.page("/usage"));
    fs::remove_dir(&database).expect("a folder");
    fs::rename(&away, &database).expect("a file");
    all.upgrade();
    all.wait_until("all is there", |all| asked(all) == [line("a", 3)]);
    assert!((left(&all) - (100_000.0 - 330.0)).abs() < 1e-9, "{}", left(&all));
}
