//! The whole proxy, as it runs: a worker thread of its own, real sockets over loopback, HTTP/2 under TLS
//! upstream. Both peers are this thread: it moves one, waits at the other, and what passes between is
//! the proxy. `scripts/bench` puts both threads on one core, so that a hand-over costs the same each time.

#![expect(clippy::expect_used, reason = "a bench that cannot go on must say where")]

mod harness;

use criterion::{Criterion, criterion_group, criterion_main};
use harness::{Case, Rig};
use scripted::client::Speech;

/// As in the shipped binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one request");
    for (name, speech) in [("from HTTP/1.1", Speech::Http1), ("from HTTP/2", Speech::Http2)] {
        let mut rig = Rig::start(&Case::default().speech(speech));
        group.throughput(rig.throughput());
        group.bench_function(name, |bencher| bencher.iter(|| rig.request()));
    }
    group.finish();
}

fn frames(criterion: &mut Criterion) {
    let case = Case::default;
    let cases = [
        ("one frame", case()),
        ("16 frames ready together", case().together(16)),
        ("a frame of 64 KiB", case().bytes(64 * 1024)),
        ("a frame for each of 100 streams of one connection", case().streams(100)),
    ];
    for (name, case) in cases {
        let mut group = criterion.benchmark_group(name);
        for (name, speech) in [("to HTTP/1.1", Speech::Http1), ("to HTTP/2", Speech::Http2)] {
            let mut rig = Rig::start(&case.clone().speech(speech));
            rig.open();
            group.throughput(rig.throughput());
            group.bench_function(name, |bencher| bencher.iter(|| rig.frames()));
        }
        group.finish();
    }
}

criterion_group!(benches, requests, frames);
criterion_main!(benches);
