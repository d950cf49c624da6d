//! The whole proxy, as it runs: a worker thread of its own, real sockets over loopback, HTTP/2 under TLS
//! upstream. Both peers are this thread: it moves one, waits at the other, and what passes between is
//! the proxy. `scripts/bench` puts both threads on one core, so that a hand-over costs the same each time.

#![expect(clippy::expect_used, reason = "a bench that cannot go on must say where")]

mod course;

use course::{Course, Track};
use criterion::{Criterion, criterion_group, criterion_main};
use scripted::client::Speech;

/// As in the shipped binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one request");
    for (name, speech) in [("from HTTP/1.1", Speech::Http1), ("from HTTP/2", Speech::Http2)] {
        let mut track = Track::lay(&Course::default().speech(speech));
        group.throughput(track.throughput());
        group.bench_function(name, |bencher| bencher.iter(|| track.request()));
    }
    group.finish();
}

fn frames(criterion: &mut Criterion) {
    let course = Course::default;
    let cases = [
        ("one frame", course()),
        ("16 frames ready together", course().together(16)),
        ("a frame of 64 KiB", course().bytes(64 * 1024)),
        ("a frame for each of 100 streams of one connection", course().streams(100)),
    ];
    for (name, course) in cases {
        let mut group = criterion.benchmark_group(name);
        for (name, speech) in [("to HTTP/1.1", Speech::Http1), ("to HTTP/2", Speech::Http2)] {
            let mut track = Track::lay(&course.clone().speech(speech));
            track.open();
            group.throughput(track.throughput());
            group.bench_function(name, |bencher| bencher.iter(|| track.frames()));
        }
        group.finish();
    }
}

criterion_group!(benches, requests, frames);
criterion_main!(benches);
