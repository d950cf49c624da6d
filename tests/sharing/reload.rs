//! What a reload changes while limits are shared.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loadtest::upstream::{Script, Upstream};

use super::server::Redis;
use super::{
    asked, client, each_server, knows_of, pass, replica, server, shared, wait_shortly, wait_until,
};
use crate::keys::{answering, ask, chat, file};
use crate::support::fixture::scratch;
use crate::support::peers::http1_client::Http1;
use crate::support::program::Program;

/// A process whose file changes.
struct Changing<'a> {
    upstream: &'a Upstream,
    path: PathBuf,
}

impl<'a> Changing<'a> {
    fn new(upstream: &'a Upstream) -> Self {
        Self { upstream, path: scratch().join("firstbyte.yaml") }
    }

    fn write(&self, section: &str, clients: &str) -> &Path {
        let text = format!("{section}clients:\n{clients}");
        fs::write(&self.path, file(self.upstream, 1, &text)).expect("the file can be written");
        &self.path
    }

    fn start(&self, section: &str, clients: &str) -> Program {
        let program = Program::start(&self.write(section, clients).to_owned());
        shared(&program);
        program
    }

    fn reload(&self, program: &Program, section: &str, clients: &str) {
        self.write(section, clients);
        let (status, said) = program.reload();
        assert_eq!(status, 200, "{said}");
    }
}

fn section(server: &Redis, rest: &str) -> String {
    format!("redis: {{ url: 'redis://{}'{rest} }}\n", server.address)
}

const EXACT: &str = ", exact: true, timeout: 5s";

#[test]
fn with_exact_a_budget_by_the_calendar_that_a_reload_adds_is_enforced() {
    for server in each_server() {
        let upstream = answering(|_| chat(1, 1));
        let (changing, exact) = (Changing::new(&upstream), section(&server, EXACT));
        let program = changing.start(&exact, &client("a", "limits: { rpm: 1000000 }"));
        assert_eq!(asked(&program, "a").status, 200);
        let budget = "limits: { rpm: 1000000 }, budget: { tokens: 100, per: month }";
        changing.reload(&program, &exact, &client("a", budget));
        let passed = pass(&program, "a", 150).0;
        assert!((40..=52).contains(&passed), "{passed} of 50");
        let keys = server.command(&["KEYS", "*budget_tokens/month}:*"]);
        let of_no_period = keys.split_whitespace().any(|key| key.ends_with(":0"));
        assert!(!keys.is_empty() && !of_no_period, "{keys}");
    }
}

#[test]
fn with_exact_a_limit_that_a_reload_adds_is_no_loss_of_the_server() {
    let Some(server) = server(&[]) else { return };
    let upstream = answering(|_| chat(1, 1));
    let (changing, exact) = (Changing::new(&upstream), section(&server, EXACT));
    let one = client("a", "limits: { rpm: 1000000 }");
    let program = changing.start(&exact, &one);
    // Of one that the thread has not heard of yet, a request is decided on a lease.
    let more = client("a", "limits: { rpm: 1000000, tpm: 1000000 }");
    for clients in [&more, &one, &more, &one, &more] {
        changing.reload(&program, &exact, clients);
        assert_eq!(pass(&program, "a", 5).0, 5);
    }
    let results =
        |word: &str| program.count(&format!("firstbyte_redis_takes_total{{result=\"{word}\"}}"));
    assert_eq!(results("lost"), 0);
    assert_eq!(program.count("firstbyte_redis_errors_total"), 0);
    let all = results("granted") + results("undecided");
    assert_eq!(all, 25, "{}", program.page("/metrics"));
}

#[test]
fn what_was_used_is_not_forgotten_by_a_change_of_the_server_nor_by_its_removal() {
    let (Some(first), Some(second)) = (server(&[]), server(&[])) else { return };
    let upstream = answering(|_| chat(1, 1));
    let clients = format!(
        "{}{}",
        client("a", "limits: { rpm: 2, burst: 50m }"),
        client("b", "budget: { tokens: 100, per: total }")
    );
    let changing = Changing::new(&upstream);
    let program = changing.start(&section(&first, ""), &clients);
    assert!(pass(&program, "a", 150).0 >= 99 && pass(&program, "b", 100).0 >= 49);
    let full = |passed: usize| passed <= 2;
    let other = replica(&upstream, &second, "", &format!("clients:\n{clients}"));
    changing.reload(&program, &section(&second, ""), &clients);
    for name in ["a", "b"] {
        let passed = pass(&program, name, 60).0;
        assert!(full(passed), "{name}: {passed} while it changes over");
    }
    for one in [&program, &other] {
        knows_of(one, 2);
    }
    wait_until("the second server knows", || {
        let spent =
            second.command(&["HGET", "firstbyte:{client b/budget_tokens/total}:0", "spent"]);
        spent.parse::<u64>().is_ok_and(|spent| spent >= 100)
    });
    wait_until("the other knows", || {
        asked(&other, "b").status == 429 && asked(&other, "a").status == 429
    });
    assert!(full(pass(&program, "a", 60).0) && full(pass(&program, "b", 60).0));
    // Alone it still goes by what both of them used.
    changing.reload(&program, "", &clients);
    wait_until("it has left", || second.command(&["ZCARD", "firstbyte:{instances}"]) == "1");
    for name in ["a", "b"] {
        let passed = pass(&program, name, 60).0;
        assert!(full(passed), "{name}: {passed} without a server");
    }
}

#[test]
fn requests_in_flight_are_told_to_the_server_that_a_reload_names() {
    let (Some(first), Some(second)) = (server(&[]), server(&[])) else { return };
    let upstream =
        answering(|_| Script::new().stream().tokens(100_000, Duration::from_millis(50)).finish());
    let clients = client("a", "limits: { concurrent: 4 }");
    let changing = Changing::new(&upstream);
    let program = changing.start(&section(&first, ""), &clients);
    let streams: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = Http1::new(program.connect());
            let request = ask("a");
            stream.send(&request);
            assert_eq!(stream.head(&request).status, 200);
            stream
        })
        .collect();
    let held = |server: &Redis| server.command(&["HVALS", "firstbyte:{client a/concurrent}"]);
    wait_until("the first knows", || held(&first).starts_with("2:"));
    changing.reload(&program, &section(&second, ""), &clients);
    wait_shortly("they are held there", || held(&second).starts_with("2:"));
    wait_shortly("and no more here", || held(&first).is_empty());
    drop(streams);
    wait_shortly("they have ended", || held(&second).is_empty());
}
