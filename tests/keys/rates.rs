//! Rates under steady overload: what passes is the limit, on one worker and on four.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::{answering, ask, chat, file, key};
use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::http1_client::Http1;
use crate::support::size::bound;

/// Requests a minute, and tokens of which each request has ten.
const RPM: u64 = 1_200;
const TPM: u64 = 12_000;
/// For so long clients may be kept from asking by a busy machine.
const BURST: Duration = Duration::from_secs(1);

/// More than passes, for `time`: how many were served, and for how long.
fn overloaded(workers: usize, limits: &str, time: Duration) -> (u64, Duration) {
    let upstream = answering(|_| chat(6, 4));
    let text = file(
        &upstream,
        workers,
        &format!("clients:\n  - name: app-a\n    key: {}\n    limits: {limits}\n", key("app-a")),
    );
    let fixture = Fixture::of_file(upstream, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    let served = AtomicU64::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = Http1::new(fixture.connect());
                while began.elapsed() < time {
                    let answer = client.ask(&ask("app-a"));
                    served.fetch_add(u64::from(answer.status == 200), Relaxed);
                    if answer.status == 429 {
                        std::thread::park_timeout(Duration::from_millis(2));
                    }
                }
            });
        }
    });
    (served.into_inner(), began.elapsed())
}

#[test]
fn requests_and_tokens_a_minute_are_kept_to_one_percent_on_one_and_on_four_workers() {
    let time = bound(Duration::from_secs(5), Duration::from_secs(60));
    for workers in [1, 4] {
        for (limits, a_minute) in [
            (format!("{{ rpm: {RPM}, burst: 1s }}"), RPM),
            (format!("{{ tpm: {TPM}, burst: 1s }}"), TPM / 10),
        ] {
            let (served, took) = overloaded(workers, &limits, time);
            let most = a_minute as f64 * (BURST + took).as_secs_f64() / 60.0;
            let least = a_minute as f64 * time.as_secs_f64() / 60.0;
            let served = served as f64;
            // Of tokens, those in flight may be more than was reserved for them.
            eprintln!("{workers} workers, {limits}: {served} served, {least} to {most}");
            assert!(served <= most * 1.01 + 8.0, "{served} of {most}");
            assert!(served >= least * 0.99 - 8.0, "{served} of {least}");
        }
    }
}
