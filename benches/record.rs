//! What a request's record costs: opening, every stamp on its way, closing into the histograms and the
//! access log. And what one frame adds to it, which is two stamps and four histograms.

#![expect(clippy::expect_used, reason = "a bench that cannot start must say so")]

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use firstbyte::config::{AccessLog, RouteId, UpstreamId};
use firstbyte::record::{Hub, Leased, Opened, Outcome, Record, Recorder, Setup};
use http::{Method, StatusCode, Version};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

/// As in the shipped binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct RecordRig {
    recorder: Recorder,
    runtime: LocalRuntime,
    _hub: Hub,
}

fn record_rig(access_log: AccessLog) -> RecordRig {
    let hub = Hub::new(Setup {
        workers: 1,
        routes: vec!["/v1".to_owned()],
        upstreams: vec!["openai".to_owned()],
        access_log,
        log_format: firstbyte::config::LogFormat::default(),
        version: "0",
        commit: "none",
    })
    .expect("a hub");
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let runtime = runtime.expect("a runtime");
    let unstarted = hub.worker(0);
    let recorder = runtime.block_on(async { unstarted.start() });
    RecordRig { recorder, runtime, _hub: hub }
}

/// A request that has its answer's head; every stamp a few microseconds after the one before.
fn begin(recorder: &Recorder, start: Instant) -> Rc<Record> {
    let at = |us| start + Duration::from_micros(us);
    let record = recorder.open(Opened {
        at: start,
        client: std::net::SocketAddr::from(([127, 0, 0, 1], 40_000)).into(),
        version: Version::HTTP_11,
        method: Method::POST,
        path: "/v1/chat/completions".to_owned(),
    });
    record.routed(RouteId(0), UpstreamId(0));
    record.leased(Leased { waited: Duration::ZERO, cold: None, version: Version::HTTP_2 });
    record.head_sent(at(20));
    record.upstream_head(at(200), StatusCode::OK, || Some("req_0123456789abcdef01234567"));
    record.status(StatusCode::OK);
    record.handed(at(200));
    record.written(at(220));
    record
}

fn frame(record: &Record, start: Instant, number: u64) {
    let read = start + Duration::from_micros(300 + number * 10_000);
    record.upstream_frame(read, 200);
    record.handed(read);
    record.written(read + Duration::from_micros(15));
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("the record");
    group.throughput(Throughput::Elements(1));
    let start = Instant::now();
    let logs = [("no log", AccessLog::Off), ("a log", AccessLog::File(PathBuf::from("/dev/null")))];
    for (name, log) in logs {
        let record_rig = record_rig(log);
        group.bench_function(format!("of a request, {name}"), |bencher| {
            bencher.iter(|| begin(&record_rig.recorder, start).end(Outcome::Complete));
            // The log's own task gets its turn, so that its batches leave.
            record_rig.runtime.block_on(tokio::task::yield_now());
        });
    }
    let record_rig = record_rig(AccessLog::Off);
    let record = begin(&record_rig.recorder, start);
    let mut number = 0;
    group.bench_function("of a frame", |bencher| {
        bencher.iter(|| {
            number += 1;
            frame(&record, start, number);
        });
    });
    group.finish();
}

criterion_group!(benches, records);
criterion_main!(benches);
