//! The Prometheus page, read back as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use http::{StatusCode, Version};

use super::super::{Leased, Outcome, ReplayReason};
use super::*;

/// Series and value. Fails on anything that is not the format: a sample without its family before
/// it, a series given twice, a value that is no number.
fn read(page: &str) -> BTreeMap<String, f64> {
    let (mut series, mut families) = (BTreeMap::new(), BTreeMap::new());
    let (mut helped, mut family) = (BTreeSet::new(), String::new());
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(helped.insert(name.to_owned()) && !help.is_empty(), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(helped.contains(name), "{name} has no help");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            name.clone_into(&mut family);
            assert!(families.insert(family.clone(), kind.to_owned()).is_none(), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let bare = name.split('{').next().unwrap();
            let ends: &[&str] = match families[&family].as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(ends.iter().any(|end| bare == format!("{family}{end}")), "{line} in {family}");
            let value = value.parse().unwrap();
            assert!(series.insert(name.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    series
}

/// A worker that saw a bit of everything.
fn everything(recorder: &super::super::Recorder) {
    let start = Instant::now();
    let at = |micros| start + Duration::from_micros(micros);
    let record = recorder.open(opened("/v1/chat/completions", start));
    record.routed(RouteId(0), UpstreamId(0));
    record.leased(Leased {
        waited: Duration::from_micros(3),
        cold: None,
        version: Version::HTTP_2,
    });
    record.head_sent(at(30));
    record.replayed(ReplayReason::Goaway);
    record.upstream_head(at(20_030), StatusCode::OK, || Some("req_1"));
    record.handed(at(20_030));
    record.written(at(20_050));
    record.status(StatusCode::OK);
    for read in [30_000, 40_000] {
        record.upstream_frame(at(read), 50);
        record.handed(at(read));
        record.written(at(read + 15));
    }
    record.end(Outcome::Complete);
    recorder.upstream(UpstreamId(0)).connected(Duration::from_millis(30));
}

#[test]
fn the_page_reads_back_with_what_was_recorded() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        everything(&recorder);
        let page = read(&hub.metrics().await);
        let code = r#"firstbyte_requests_total{route="/v1",upstream="openai",code="200"}"#;
        for (series, value) in [
            (code, 1.0),
            (
                r#"firstbyte_stream_end_total{route="/v1",upstream="openai",outcome="complete",phase="after_head"}"#,
                1.0,
            ),
            (r#"firstbyte_replays_total{reason="goaway"}"#, 1.0),
            (r#"firstbyte_overhead_seconds_bucket{phase="request",le="0.000025"}"#, 0.0),
            (r#"firstbyte_overhead_seconds_bucket{phase="request",le="0.00005"}"#, 1.0),
            (r#"firstbyte_overhead_seconds_sum{phase="request"}"#, 0.000_03),
            (r#"firstbyte_overhead_seconds_count{phase="chunk"}"#, 2.0),
            (r#"firstbyte_chunk_gap_seconds_bucket{side="client",le="0.01"}"#, 1.0),
            (r#"firstbyte_upstream_ttfb_seconds_sum{upstream="openai"}"#, 0.02),
            (r#"firstbyte_client_ttfb_seconds_count{upstream="openai"}"#, 1.0),
            (r#"firstbyte_pool_wait_seconds_count{upstream="openai"}"#, 1.0),
            (r#"firstbyte_upstream_connect_seconds_count{upstream="openai"}"#, 1.0),
            (r#"firstbyte_build_info{version="1.2.3",commit="abc"}"#, 1.0),
            ("firstbyte_workers", 2.0),
        ] {
            let got = page.get(series).unwrap_or_else(|| panic!("no {series}"));
            assert!((got - value).abs() < 1e-12, "{series} is {got}, not {value}");
        }
    });
}

#[test]
fn buckets_never_fall_and_the_last_is_the_count() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        everything(&recorder);
        let page = hub.metrics().await;
        let (mut before, mut infinite) = (0.0, 0);
        let series = read(&page);
        for line in page.lines().filter(|line| line.contains("le=\"")) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            assert!(value >= before, "{line} after {before}");
            before = value;
            if name.contains("le=\"+Inf\"") {
                let count = name.replace("_bucket", "_count").replace("le=\"+Inf\"", "");
                let count = count.replace(",}", "}").replace("{}", "");
                assert!((series[&count] - value).abs() < f64::EPSILON, "{name}");
                (before, infinite) = (0.0, infinite + 1);
            }
        }
        assert_eq!(infinite, 3 + 2 + 2 + 5 * 2, "histograms");
    });
}

#[test]
fn series_with_fixed_labels_stand_at_zero_from_the_start() {
    let page = local(async { read(&hub(AccessLog::Off).metrics().await) });
    for series in [
        r#"firstbyte_stream_end_total{route="none",upstream="none",outcome="refused",phase="before_head"}"#,
        r#"firstbyte_replays_total{reason="unsent"}"#,
        r#"firstbyte_cold_requests_total{upstream="vllm",cause="below_minimum"}"#,
        r#"firstbyte_upstream_ttfb_seconds_bucket{upstream="openai",le="600"}"#,
        r#"firstbyte_chunk_gap_seconds_bucket{side="client",le="600"}"#,
        r#"firstbyte_upstream_connections{upstream="vllm",state="draining"}"#,
        r#"firstbyte_upstream_ttfb_seconds_bucket{upstream="openai",le="60"}"#,
        r#"firstbyte_overhead_seconds_bucket{phase="head",le="0.00001"}"#,
        "firstbyte_cancel_seconds_count",
        "firstbyte_streams_in_flight",
        r#"firstbyte_upstream_failures_total{upstream="vllm",cause="refused"}"#,
        "firstbyte_access_log_dropped_total",
    ] {
        assert_eq!(page.get(series).map(|value| value.to_bits()), Some(0), "{series}");
    }
    assert!(page["process_resident_memory_bytes"] > 0.0);
}

/// A counter that appears with its first event is no increase to Prometheus.
#[test]
fn what_the_configuration_can_lead_to_stands_at_zero_from_the_start() {
    let text = "upstreams: { openai: { url: http://a }, vllm: { url: http://b } }\n\
                groups: { g: { members: [{ upstream: openai }, { upstream: vllm }] } }\n\
                routes: [{ path: /v1, upstream: g }, { path: /local, upstream: vllm }]\n";
    let env = crate::config::ProcessEnv;
    let config = crate::config::parse("f.yaml".as_ref(), text.as_bytes(), &env).unwrap();
    let page = local(async {
        let hub = hub(AccessLog::Off);
        let label_ids = hub.label_ids(&["/v1", "/local"], &["openai", "vllm"], &[]).unwrap();
        hub.expect(&config, &label_ids);
        read(&hub.metrics().await)
    });
    for series in [
        r#"firstbyte_requests_total{route="/v1",upstream="openai",code="200"}"#,
        r#"firstbyte_requests_total{route="/v1",upstream="vllm",code="502"}"#,
        r#"firstbyte_requests_total{route="/v1",upstream="none",code="503"}"#,
        r#"firstbyte_stream_end_total{route="/local",upstream="vllm",outcome="upstream_failed",phase="before_head"}"#,
        r#"firstbyte_stream_end_total{route="/local",upstream="vllm",outcome="upstream_failed",phase="after_head"}"#,
        r#"firstbyte_failovers_total{from="vllm",to="openai",reason="connect"}"#,
    ] {
        assert_eq!(page.get(series).map(|value| value.to_bits()), Some(0), "{series}");
    }
    // And nothing that it cannot lead to.
    let elsewhere = r#"firstbyte_requests_total{route="/local",upstream="openai",code="200"}"#;
    assert_eq!(page.get(elsewhere), None);
}

#[test]
fn every_metric_is_described_in_the_documentation() {
    let described = include_str!("../../../docs/metrics.md");
    let page = local(async { hub(AccessLog::Off).metrics().await });
    let names = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let missing: Vec<_> = names.filter(|name| !described.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn promtool_has_nothing_to_say() {
    let page = local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        everything(&recorder);
        hub.metrics().await
    });
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = started else {
        eprintln!("SKIPPED: promtool is not installed (Debian: apt-get install prometheus)");
        return;
    };
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && text.is_empty(), "promtool: {text}");
}

#[test]
fn no_page_shows_a_query_or_an_upstreams_words() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        let record = recorder.open(opened("/v1?api_key=sk-canary", Instant::now()));
        record.upstream_head(Instant::now(), StatusCode::OK, || Some("sk-canary"));
        drop(record);
        assert!(!hub.metrics().await.contains("canary"));
        assert!(!hub.stats().await.contains("canary"));
    });
}
