//! What it costs to know a client and to hold it to its limits: of ten thousand clients, from the head of a request to
//! the charge at its end; and the memory that they take.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use firstbyte::admit::{Directory, KnownKey, Seen};
use firstbyte::config::{Config, ProcessEnv, parse};
use firstbyte::record::Usage;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

const CLIENTS: usize = 10_000;

fn key(nth: usize) -> String {
    format!("fb-{nth:043}")
}

/// Every one with all kinds of limits, in one of a hundred groups that have some too.
fn config(clients: usize) -> Config {
    let mut text = String::from(
        "upstreams: { a: { url: http://a } }\nroutes: [{ path: /, upstream: a }]\nclient_groups:\n",
    );
    for nth in 0..100 {
        let _ =
            writeln!(text, "  g{nth}: {{ limits: {{ rpm: 1000000000, concurrent: 1000000 }} }}");
    }
    text.push_str("clients:\n");
    for nth in 0..clients {
        let _ = writeln!(
            text,
            "- {{ name: c{nth}, key: {}, group: g{}, limits: {{ rpm: 1000000000, tpm: 1000000000, concurrent: 1000 }}, budget: {{ tokens: 1000000000000, per: month }} }}",
            key(nth),
            nth % 100
        );
    }
    parse(Path::new("bench.yaml"), text.as_bytes(), &ProcessEnv)
        .unwrap_or_else(|faults| panic!("{faults}"))
}

fn clients(criterion: &mut Criterion) {
    let began = Instant::now();
    let config = config(CLIENTS);
    let read = began.elapsed();
    let Some(directory) = Directory::new(&config, None, None) else { return };
    println!(
        "{CLIENTS} clients with 4 limits and a group of 2: read in {read:?}, {} bytes each in memory",
        memory(&config) / CLIENTS
    );
    let mut headers = HeaderMap::new();
    let value = HeaderValue::try_from(format!("Bearer {}", key(4_711)));
    headers.insert(AUTHORIZATION, value.unwrap_or(HeaderValue::from_static("-")));
    criterion.bench_function("a client by its key", |bencher| {
        bencher.iter(|| directory.identify(black_box(&headers), &[], &KnownKey::default()).is_ok());
    });
    let known = KnownKey::default();
    criterion.bench_function("the same on a connection that brought it before", |bencher| {
        bencher.iter(|| directory.identify(black_box(&headers), &[], &known).is_ok());
    });
    let Ok(caller) = directory.identify(&headers, &[], &known) else { return };
    let usage = Usage { input: 100, cached: 0, output: 50 };
    let seen = Seen { bytes_up: 1_024, frames: 50, at_least: Usage::default() };
    criterion.bench_function("six limits taken and settled", |bencher| {
        bencher.iter(|| {
            let now = Instant::now();
            let charge = caller.admit(now);
            charge.map(|charge| charge.settle(Some(usage), Some(seen), now)).is_ok()
        });
    });
}

/// Bytes of a directory: some are made that take what is free, and then as many that must be given memory.
fn memory(config: &Config) -> usize {
    const SOME: usize = 4;
    let some = || (0..SOME).map(|_| Directory::new(config, None, None)).collect::<Vec<_>>();
    let _taking_what_is_free = some();
    let before = resident();
    let made = some();
    let after = resident();
    drop(made);
    after.saturating_sub(before) / SOME
}

/// Bytes that this process has in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

criterion_group!(benches, clients);
criterion_main!(benches);
