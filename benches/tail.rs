//! What it costs to know whether a stream of events was whole when it was left: the look at each
//! chunk's end, for the sizes that tokens, joined tokens and audio have.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use firstbyte::relay::observers::{DoneScanner, Observer};

fn tails(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("the tail of a stream");
    group.throughput(Throughput::Elements(1));
    for bytes in [5, 200, 8 * 1024] {
        let chunk = vec![b'x'; bytes];
        let mut tail = DoneScanner::default();
        group.bench_function(format!("after a chunk of {bytes} bytes"), |bencher| {
            bencher.iter(|| {
                tail.chunk(black_box(&chunk));
                tail.is_done()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, tails);
criterion_main!(benches);
