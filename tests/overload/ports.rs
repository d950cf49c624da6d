//! No local port is left toward the upstream: told at once, and over when one is given back. In a network
//! namespace of its own, whose ports this test may use up; the test runs itself again in it.

use std::process::Command;
use std::time::{Duration, Instant};

use firstbyte::config::Config;
use loadtest::upstream::Script;

use crate::support::fixture::Fixture;
use crate::support::message::Ask;
use crate::support::pairing::upstream;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::raw_http2;
use crate::support::refusal::assert_refused;

/// Set in the run inside of the namespace.
const INSIDE: &str = "FIRSTBYTE_TEST_INSIDE_NAMESPACE";

/// Ports that there are.
const PORTS: usize = 16;

/// Runs the named test again with few ports; `false`, loudly, where that is not allowed.
fn entered(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("this program");
    let script = format!(
        "ip link set lo up && echo 40000 {} > /proc/sys/net/ipv4/ip_local_port_range || exit 77; \
         exec \"$0\" --exact \"$1\" --nocapture",
        40_000 + PORTS - 1
    );
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", &script]).arg(program).arg(test).env(INSIDE, "1");
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED {test}: unshare: {error}");
            return false;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if !said.contains("running inside") {
        eprintln!("SKIPPED {test}: no network namespace: {said}");
        return false;
    }
    eprint!("{said}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    false
}

fn slow(config: &mut Config) {
    // Nobody may be told for having waited.
    config.upstreams[0].pool.queue_timeout = Duration::from_secs(60);
}

#[test]
fn without_a_local_port_requests_are_told_at_once_and_one_given_back_is_used() {
    if !entered("ports::without_a_local_port_requests_are_told_at_once_and_one_given_back_is_used")
    {
        return;
    }
    eprintln!("running inside");
    let script = Script::new().stream().stall();
    // Each stream needs a connection, and each connection a port.
    let fixture = Fixture::configured(upstream().clear().http1().script(script), slow);
    raw_http2::block_on(async {
        let client = raw_http2::Client::connect(fixture.address()).await;
        // All at once: they wait for connections, of which some can't be.
        let mut answers = Vec::new();
        for _ in 0..3 * PORTS {
            answers.push(client.send("/v1/x", b"{}").await);
        }
        let mut streams = Vec::new();
        for answer in answers {
            let answer = answer.await.expect("an answer");
            match answer.status().as_u16() {
                200 => streams.push(answer),
                503 => assert_eq!(answer.headers()["retry-after"], "1"),
                other => panic!("{other}"),
            }
        }
        eprintln!("{} streams on {PORTS} ports", streams.len());
        assert!((1..=PORTS).contains(&streams.len()));
        let mut took = Vec::new();
        for _ in 0..50 {
            let began = Instant::now();
            let answer = client.send("/v1/x", b"{}").await.await.expect("an answer");
            took.push(began.elapsed());
            assert_eq!(answer.status(), 503);
        }
        took.sort();
        eprintln!("50 refusals: half within {:?}, all within {:?}", took[25], took[49]);
        assert!(took[25] < Duration::from_millis(50), "they wait for what does not come");
        drop(streams.pop());
        let freed = Instant::now();
        // The port that is given back rests in TIME_WAIT on the side that closed first, which is ours.
        while client.send("/v1/x", b"{}").await.await.expect("an answer").status() != 200 {
            assert!(freed.elapsed() < Duration::from_secs(20), "no recovery");
            tokio::task::yield_now().await;
        }
        eprintln!("a stream again {:?} after one ended", freed.elapsed());
    });
    assert!(fixture.count(r#"firstbyte_shed_total{reason="sockets"}"#) > 50);
    let full = Ask::post("/v1/x", "{}");
    assert_refused(&Http1::new(fixture.connect()).ask(&full), 503, "local_limit");
}
