//! A store beside Redis: usage is kept in it, budgets are kept by the server.

use std::fs;
use std::net::{SocketAddr, TcpStream};

use super::{client, server, wait_until};
use crate::keys::{answering, ask, chat, file};
use crate::support::generations::Generations;
use crate::support::peers::http1_client::Http1;
use crate::support::program::run;

/// This many requests of client `a` that pass.
fn pass(address: SocketAddr, count: usize) {
    for _ in 0..count {
        // One that drains ends connections.
        let mut client = Http1::new(TcpStream::connect(address).expect("it listens"));
        assert_eq!(client.ask(&ask("a")).status, 200);
    }
}

#[test]
fn usage_is_kept_in_the_store_and_a_budget_at_the_server_is_charged_once_over_restarts() {
    let Some(mut server) = server(&[]) else { return };
    server.kill();
    let upstream = answering(|_| chat(1, 1));
    let text = format!(
        "store: store\nredis: {{ url: 'redis://{}' }}\nclients:\n{}",
        server.address,
        client("a", "budget: { tokens: 1000, per: total }")
    );
    let all = Generations::start(&file(&upstream, 1, &text));
    let lines = |all: &Generations, what: &str| all.said().matches(what).count();
    all.wait_said("limits are not shared");
    pass(all.address, 10);
    server.restart_empty();
    let spent = || server.command(&["HGET", "firstbyte:{client a/budget_tokens/total}:0", "spent"]);
    wait_until("what was used without the server is told", || spent() == "20");
    // The one that takes over has the store after its first look at the server.
    all.upgrade();
    all.wait_said("limits are shared through redis");
    pass(all.address, 5);
    let at_least = |tokens: u64| spent().parse::<u64>().is_ok_and(|spent| spent >= tokens);
    wait_until("it is told", || at_least(30));
    assert_eq!(spent(), "30", "what the first spent without the server is told once");
    all.signal(rustix::process::Signal::TERM);
    all.wait_until("both have ended", |all| lines(all, "cut=0") == 2);
    let folder = all.folder.clone();
    let store = folder.join("store");
    let csv = |store: &std::path::Path| {
        let store = store.to_str().expect("UTF-8");
        let asked = ["usage", "--store", store, "--since", "2020-01-01", "--format", "csv"];
        let (_, said, error) = run(&asked);
        assert!(error.is_empty(), "{error}");
        said
    };
    let kept = csv(&store);
    assert!(kept.contains(",15,15,0,15,"), "{kept}");
    let mut command = crate::support::program::program();
    command.arg("-c").arg(folder.join("firstbyte.yaml"));
    fs::remove_file(folder.join("said")).expect("a file");
    let again = Generations::of(command, folder);
    again.wait_said("limits are shared through redis");
    pass(again.address, 5);
    wait_until("it is told", || at_least(40));
    assert_eq!(spent(), "40", "what the server knows is told by nobody again");
    again.signal(rustix::process::Signal::TERM);
    again.wait_said("cut=0");
    assert!(csv(&store).contains(",20,20,0,20,"), "{}", csv(&store));
}
