//! The options of the sockets that a running proxy uses, asked of the kernel. The proxy runs in this
//! process: its descriptors are found by their addresses and duplicated to be looked at.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{OwnedFd, RawFd};
use std::time::Duration;

use firstbyte::transport::SocketOptions;
use loadtest::upstream::Script;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::support::fixture::Fixture;
use crate::support::message::Ask;
use crate::support::pairing::{CLIENTS, Client, ORIGINS, upstream};

/// The descriptor of this process whose socket has these addresses.
fn socket(here: SocketAddr, there: SocketAddr) -> Option<OwnedFd> {
    let table = fs::read_to_string("/proc/self/net/tcp").expect("the kernel's table");
    let row = format!("{} {} ", written(here), written(there));
    let row = table.lines().find(|line| line.contains(&row))?;
    let inode = row.split_whitespace().nth(9)?;
    let link = format!("socket:[{inode}]");
    let open = fs::read_dir("/proc/self/fd").expect("our descriptors").flatten();
    let mut named =
        open.filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == link.as_str()));
    duplicate(named.next()?.file_name().to_str()?.parse().ok()?).ok()
}

fn duplicate(number: RawFd) -> rustix::io::Result<OwnedFd> {
    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    pidfd_getfd(process, number, PidfdGetfdFlags::empty())
}

/// Some containers forbid to look, even at oneself; `wire`'s own test of the same options runs there.
fn may_look() -> bool {
    let looked = duplicate(0);
    if let Err(error) = &looked {
        eprintln!("SKIPPED: the kernel does not let us duplicate our own descriptor: {error}");
    }
    looked.is_ok()
}

/// An IPv4 address as `/proc/net/tcp` writes it.
fn written(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { panic!("{address} is not IPv4") };
    let ip = u32::from_ne_bytes(address.ip().octets());
    format!("{ip:08X}:{:04X}", address.port())
}

/// What a dead peer is found out within: 20 s are more than a lost path takes to heal.
fn assert_tuned(socket: &OwnedFd, side: &str, longest: Duration) {
    let options = SocketOptions::read(socket).expect("the kernel tells");
    assert!(options.nodelay, "{side}: TCP_NODELAY");
    assert!(options.keepalive, "{side}: SO_KEEPALIVE");
    assert!(options.keepalive_idle <= Duration::from_secs(60), "{side}: {options:?}");
    let bound = Duration::from_secs(20)..=longest;
    assert!(options.user_timeout.is_some_and(|time| bound.contains(&time)), "{side}: {options:?}");
}

fn local(client: &Client) -> Option<SocketAddr> {
    match client {
        Client::Http1(client) => client.stream().local_addr().ok(),
        Client::Http2(client) => Some(client.local),
    }
}

/// A stream is under way in each case, so that the sockets looked at are those that carry it.
#[test]
fn sockets_on_both_sides_send_at_once_and_notice_a_dead_peer() {
    if !may_look() {
        return;
    }
    for origin in ORIGINS {
        let fixture = origin.fixture(upstream().script(Script::new().stream().stall()));
        for speaks in CLIENTS {
            let mut client = speaks.connect(&fixture);
            let client_address = local(&client).expect("an address");
            let ask = Ask::get("/v1/models");
            let mut exchange = client.begin(&ask);
            assert_eq!(exchange.head().status, 200);
            let facing_client = socket(fixture.address(), client_address).expect("a socket");
            // Longer than `client.write_stall`, which the kernel would otherwise overtake.
            assert_tuned(&facing_client, "toward the client", Duration::from_secs(40));
            let facing_upstream = upstream_sockets(&fixture);
            assert!(facing_upstream.len() >= 2, "warm connections");
            for socket in &facing_upstream {
                assert_tuned(socket, "toward the upstream", Duration::from_secs(30));
            }
        }
    }
}

fn upstream_sockets(fixture: &Fixture) -> Vec<OwnedFd> {
    let there = fixture.upstream.addr();
    let open = fixture.upstream.log().connections.into_iter().filter(|c| c.closed.is_none());
    open.filter_map(|connection| socket(connection.peer, there)).collect()
}

/// What the test above would see if nobody had set anything.
#[test]
fn a_socket_that_nobody_tuned_has_none_of_it() {
    if !may_look() {
        return;
    }
    let fixture = Fixture::start(upstream());
    let stream = TcpStream::connect(fixture.address()).expect("the proxy listens");
    let found = socket(stream.local_addr().expect("an address"), fixture.address());
    let options = SocketOptions::read(&found.expect("a socket")).expect("the kernel tells");
    assert!(!options.nodelay && !options.keepalive && options.user_timeout.is_none());
}
