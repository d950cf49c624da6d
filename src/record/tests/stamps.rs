//! Stamps become the right figures.

use std::time::{Duration, Instant};

use http::{StatusCode, Version};
use serde_json::json;

use super::super::{Cold, Leased, ReplayReason};
use super::*;

const fn us(count: u64) -> Duration {
    Duration::from_micros(count)
}

fn once(micros: f64) -> Value {
    spread(1, micros, micros)
}

/// The exact part of a distribution; quantiles have tests of their own.
fn spread(count: u64, mean: f64, max: f64) -> Value {
    json!({ "count": count, "mean": mean, "max": max })
}

fn brief(quantiles: &Value) -> Value {
    json!({
        "count": quantiles["count"], "mean": quantiles["mean"], "max": quantiles["max"],
    })
}

#[test]
fn each_phase_of_a_streamed_answer_is_timed_from_its_own_beginning() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        let start = Instant::now();
        let at = |micros| start + us(micros);
        let record = recorder.open(opened("/v1/chat/completions", start));
        record.routed(RouteId(0), UpstreamId(0));
        record.leased(Leased { waited: us(5), cold: Some(Cold::Burst), version: Version::HTTP_2 });
        record.head_sent(at(40));
        record.upstream_head(at(1_040), StatusCode::OK, || Some("req_1"));
        record.handed(at(1_040));
        record.written(at(1_065));
        for (read, written) in [(3_040, 3_060), (5_040, 5_070), (9_040, 9_050)] {
            record.upstream_frame(at(read), 100);
            record.handed(at(read));
            record.written(at(written));
        }
        drop(record);
        let seen = stats(&hub).await;
        let overhead = &seen["latency_us"]["overhead"];
        assert_eq!(brief(&overhead["request"]), once(40.0));
        assert_eq!(brief(&overhead["head"]), once(25.0));
        assert_eq!(brief(&overhead["chunk"]), spread(3, 20.0, 30.0));
        let gap = &seen["latency_us"]["chunk_gap"];
        assert_eq!(brief(&gap["upstream"]), spread(2, 3_000.0, 4_000.0));
        assert_eq!(brief(&gap["client"]), spread(2, 2_995.0, 3_980.0));
        let upstream = &seen["upstreams"][0];
        assert_eq!(upstream["cold_requests"], 1);
        assert_eq!(brief(&upstream["latency_us"]["pool_wait"]), once(5.0));
        assert_eq!(brief(&upstream["latency_us"]["upstream_ttfb"]), once(1_000.0));
        assert_eq!(brief(&upstream["latency_us"]["upstream_first_body"]), once(3_000.0));
        assert_eq!(brief(&upstream["latency_us"]["client_ttfb"]), once(1_065.0));
        assert_eq!(seen["upstreams"][1]["latency_us"]["upstream_ttfb"]["count"], 0);
    });
}

#[test]
fn chunks_written_together_count_from_the_oldest_and_a_head_with_them_apart() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        let start = Instant::now();
        let record = recorder.open(opened("/", start));
        record.handed(start + us(100));
        for read in [110, 120, 130] {
            record.handed(start + us(read));
        }
        record.written(start + us(140));
        // Nothing was handed over since: no sample.
        record.written(start + us(900));
        drop(record);
        let overhead = &stats(&hub).await["latency_us"]["overhead"];
        assert_eq!(brief(&overhead["head"]), once(40.0));
        assert_eq!(brief(&overhead["chunk"]), once(30.0));
    });
}

#[test]
fn every_gap_counts_when_frames_are_read_faster_than_written_or_never_written() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        let start = Instant::now();
        let record = recorder.open(opened("/", start));
        record.routed(RouteId(0), UpstreamId(0));
        record.leased(Leased { waited: us(5), cold: None, version: Version::HTTP_2 });
        record.leased(Leased { waited: us(7), cold: None, version: Version::HTTP_2 });
        record.head_sent(start);
        record.upstream_head(start + us(50), StatusCode::OK, || None);
        for read in [100, 110, 130, 160] {
            record.upstream_frame(start + us(read), 1);
        }
        drop(record);
        let seen = stats(&hub).await;
        assert_eq!(brief(&seen["latency_us"]["chunk_gap"]["upstream"]), spread(3, 20.0, 30.0));
        let upstream = &seen["upstreams"][0]["latency_us"];
        assert_eq!(brief(&upstream["upstream_ttfb"]), once(50.0));
        assert_eq!(brief(&upstream["upstream_first_body"]), once(100.0));
        assert_eq!(brief(&upstream["pool_wait"]), spread(2, 6.0, 7.0));
    });
}

#[test]
fn after_a_replay_the_upstream_is_timed_from_the_second_sending() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        let start = Instant::now();
        let record = recorder.open(opened("/", start));
        record.routed(RouteId(0), UpstreamId(0));
        record.head_sent(start + us(10));
        record.replayed(ReplayReason::RefusedStream);
        record.head_sent(start + us(500));
        record.upstream_head(start + us(700), StatusCode::OK, || None);
        record.upstream_head(start + us(9_000), StatusCode::BAD_GATEWAY, || None);
        drop(record);
        let seen = stats(&hub).await;
        assert_eq!(seen["replays"], json!({ "unsent": 0, "goaway": 0, "refused_stream": 1 }));
        assert_eq!(brief(&seen["latency_us"]["overhead"]["request"]), once(10.0));
        assert_eq!(brief(&seen["upstreams"][0]["latency_us"]["upstream_ttfb"]), once(200.0));
    });
}

#[test]
fn stamps_out_of_order_count_as_nothing_rather_than_as_ages() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        let before = Instant::now() + Duration::from_secs(5);
        let start = before + us(50);
        let record = recorder.open(opened("/", start));
        record.head_sent(before);
        record.handed(start + us(50));
        record.written(start);
        drop(record);
        let seen = stats(&hub).await;
        assert_eq!(brief(&seen["latency_us"]["overhead"]["request"]), once(0.0));
        assert_eq!(brief(&seen["latency_us"]["overhead"]["head"]), once(0.0));
        assert_eq!(brief(&seen["latency_us"]["request_duration"]), once(0.0));
    });
}

#[test]
fn an_answer_of_our_own_is_no_time_to_first_byte() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        let start = Instant::now();
        let record = recorder.open(opened("/", start));
        record.routed(RouteId(0), UpstreamId(0));
        record.status(StatusCode::SERVICE_UNAVAILABLE);
        record.written(start + us(10));
        drop(record);
        let seen = stats(&hub).await;
        assert_eq!(seen["upstreams"][0]["latency_us"]["client_ttfb"]["count"], 0);
        assert_eq!(seen["requests"][0]["code"], "503");
    });
}

#[test]
fn connects_that_work_are_timed_and_those_that_fail_are_counted() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        recorder.upstream(UpstreamId(0)).connected(us(1_500));
        recorder.upstream(UpstreamId(0)).connect_failed();
        recorder.upstream(UpstreamId(7)).connect_failed();
        let record = recorder.open(opened("/", Instant::now()));
        record.cancelled(us(30));
        let seen = stats(&hub).await;
        assert_eq!(brief(&seen["upstreams"][0]["latency_us"]["connect"]), once(1_500.0));
        assert_eq!(seen["upstreams"][0]["connect_failures"], 1);
        assert_eq!(seen["upstreams"][1]["connect_failures"], 0);
        assert_eq!(brief(&seen["latency_us"]["cancel"]), once(30.0));
    });
}
