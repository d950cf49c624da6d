//! The alert rules of `docs/metrics.md`, judged by Prometheus' own tool over what a proxy really counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use firstbyte::config::Protocol;
use loadtest::upstream::{Script, Upstream};

use crate::support::fixture::{Fixture, scratch};
use crate::support::installed::installed;
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;

/// Requests that arrive together.
const BURST: usize = 40;

/// For so long connections beyond the minimum are kept: a pause that is over soon.
const IDLE: Duration = Duration::from_millis(50);

/// All requests wait for a connect, and all heads are quick: what bursts look like in the overhead.
const SLOW_REQUESTS: &str =
    "      - series: 'firstbyte_overhead_seconds_bucket{phase=\"request\",le=\"0.001\"}'
        values: '0+0x30'
      - series: 'firstbyte_overhead_seconds_bucket{phase=\"request\",le=\"0.1\"}'
        values: '0+40x30'
      - series: 'firstbyte_overhead_seconds_bucket{phase=\"request\",le=\"+Inf\"}'
        values: '0+40x30'
      - series: 'firstbyte_overhead_seconds_bucket{phase=\"head\",le=\"0.0001\"}'
        values: '0+40x30'
      - series: 'firstbyte_overhead_seconds_bucket{phase=\"head\",le=\"+Inf\"}'
        values: '0+40x30'
";

fn rules() -> &'static str {
    let page = include_str!("../../docs/metrics.md");
    let (_, rest) = page.split_once("```yaml\n").expect("the rules");
    rest.split_once("```").expect("their end").0
}

fn names() -> Vec<&'static str> {
    rules().lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect()
}

/// Series and value.
fn page(fixture: &Fixture) -> BTreeMap<String, f64> {
    let (_, page) = fixture.admin("/metrics");
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').expect("a sample");
        (series.to_owned(), value.parse().expect("a number"))
    };
    samples.map(sample).collect()
}

/// Half an hour of the same again each minute, as series for promtool.
fn each_minute(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> String {
    let mut series = String::new();
    // How fast an unoptimised build on a busy machine is, is not what is judged here: `SLOW_REQUESTS` stands in.
    for (name, value) in after.iter().filter(|(name, _)| !name.starts_with("firstbyte_overhead")) {
        let counts = ["_total", "_bucket", "_sum", "_count"];
        let bare = name.split('{').next().unwrap_or_default();
        let grows = counts.iter().any(|end| bare.ends_with(end));
        let more = if grows { value - before.get(name).unwrap_or(&0.0) } else { 0.0 };
        let _ = writeln!(series, "      - series: '{name}'\n        values: '{value}+{more}x30'");
    }
    series
}

/// What promtool says of the rules over these series; `expected`: alerts that fire at the 20th minute, with
/// their labels.
fn judge(folder: &Path, series: &str, expected: &[(&str, &str)]) -> Result<(), String> {
    std::fs::write(folder.join("rules.yml"), rules()).expect("it can be written");
    let mut tests = String::new();
    for name in names() {
        let fires = expected.iter().find(|(alert, _)| *alert == name);
        let fires =
            fires.map_or("[]".to_owned(), |(_, labels)| format!("[{{ exp_labels: {labels} }}]"));
        let _ =
            writeln!(tests, "      - {{ eval_time: 20m, alertname: {name}, exp_alerts: {fires} }}");
    }
    let text = format!(
        "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    \
         input_series:\n{series}    alert_rule_test:\n{tests}"
    );
    std::fs::write(folder.join("tests.yml"), text).expect("it can be written");
    let judged = Command::new("promtool")
        .args(["test", "rules", "tests.yml"])
        .current_dir(folder)
        .output()
        .expect("promtool runs");
    let said = [judged.stdout, judged.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if judged.status.success() { Ok(()) } else { Err(said) }
}

fn burst(fixture: &Fixture) {
    let ask = Ask::get("/v1/models");
    let mut clients: Vec<_> = (0..BURST).map(|_| Http1::new(fixture.connect())).collect();
    for client in &mut clients {
        client.send(&ask);
    }
    for client in &mut clients {
        assert_eq!(client.answer(&ask).status, 200);
    }
}

#[test]
fn bursts_after_a_pause_are_counted_apart_and_wake_nobody() {
    let script = Script::new().wait(Duration::from_millis(20)).answer(200, &[], "{}");
    let fixture = Fixture::configured(Upstream::builder().http1().script(script), |config| {
        config.upstreams[0].protocol = Protocol::Http1;
        config.upstreams[0].pool.idle = IDLE;
    });
    let quiet =
        |fixture: &Fixture| fixture.count(r#"firstbyte_upstream_connections{state="ready"}"#) <= 2;
    burst(&fixture);
    fixture.wait_until("what the burst left is closed", quiet);
    let before = page(&fixture);
    for _ in 0..3 {
        burst(&fixture);
        fixture.wait_until("what the burst left is closed", quiet);
    }
    let after = page(&fixture);
    let cold =
        |cause: &str| fixture.count(&format!("firstbyte_cold_requests_total{{cause=\"{cause}\"}}"));
    assert!(cold("burst") > BURST as u64 / 3, "{} of {BURST} four times", cold("burst"));
    assert_eq!(cold("below_minimum"), 0);
    if installed("promtool").is_some() {
        let series = each_minute(&before, &after) + SLOW_REQUESTS;
        judge(&scratch(), &series, &[]).unwrap_or_else(|said| panic!("{said}"));
    }
}

/// The rule can fire, or the test above would show nothing.
#[test]
fn connections_that_are_missing_from_the_minimum_do_wake_somebody() {
    if installed("promtool").is_none() {
        return;
    }
    let series = "      - series: 'firstbyte_cold_requests_total{upstream=\"a\",cause=\"below_minimum\"}'\n        \
                  values: '0+10x30'\n      - series: 'firstbyte_requests_total{upstream=\"a\",code=\"200\"}'\n        \
                  values: '0+100x30'\n";
    let fires = [("FirstbyteColdRequests", "{ upstream: a }")];
    judge(&scratch(), series, &fires).unwrap_or_else(|said| panic!("{said}"));
}

/// The proxy counts such requests as what they are.
#[test]
fn a_request_that_meets_a_pool_below_its_minimum_is_counted_as_such() {
    let script = Script::new().answer(200, &[], "{}");
    let upstream = Upstream::builder().clear().http1().script(script).start().expect("it starts");
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: off\nallowed_hosts: '*'\n\
         upstreams:\n  a:\n    url: {}\nroutes:\n  - path: /v1\n    upstream: a\n",
        upstream.base_url()
    );
    let fixture = Fixture::of_file(upstream, &text);
    // At once, before the first connections can be there: one is asked for while none is open. Where this
    // thread was not fast enough, the request was not cold, and another start is as good.
    let ask = Ask::get("/v1/models");
    assert_eq!(Http1::new(fixture.connect()).ask(&ask).status, 200);
    assert_eq!(fixture.count(r#"firstbyte_cold_requests_total{cause="burst"}"#), 0);
}
