//! What a reload changes while limits are shared.

use std::fs;
use std::path::{Path, PathBuf};

use loadtest::upstream::Upstream;

use super::server::Redis;
use super::{asked, client, each_server, pass, server, shared};
use crate::keys::{answering, chat, file};
use crate::support::fixture::scratch;
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
        assert!(!keys.is_empty() && !keys.contains("}:0"), "{keys}");
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
