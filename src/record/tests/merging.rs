//! What workers record reaches the pages whole, once, and without holding anyone up.

use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::time::timeout;

use super::super::{Outcome, Recorder};
use super::*;

fn one_request(recorder: &Recorder, start: Instant) {
    let record = recorder.open(opened("/v1", start));
    record.routed(RouteId(0), UpstreamId(0));
    record.head_sent(start + Duration::from_micros(10));
    record.status(StatusCode::OK);
    record.end(Outcome::Complete);
}

#[test]
fn no_record_is_lost_or_doubled_while_sets_are_swapped_under_recording() {
    const EACH: u64 = 20_000;
    let hub = hub(AccessLog::Off);
    let scrapes = thread::scope(|scope| {
        let hub = &hub;
        let workers = [0, 1].map(|index| {
            scope.spawn(move || {
                local(async {
                    let recorder = hub.worker(index).start();
                    let start = Instant::now();
                    for count in 0..EACH {
                        one_request(&recorder, start);
                        if count % 16 == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                });
            })
        });
        local(async {
            let (mut scrapes, mut before) = (0_u64, 0);
            while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
                let now = ended(&stats(hub).await);
                assert!(now >= before, "a counter went back from {before} to {now}");
                before = now;
                scrapes += 1;
            }
            scrapes
        })
    });
    let last = local(stats(&hub));
    assert!(scrapes > 1, "the sets were never swapped");
    assert_eq!(ended(&last), 2 * EACH);
    assert_eq!(last["requests"][0]["count"], 2 * EACH);
    let request = &last["latency_us"]["overhead"]["request"];
    assert_eq!((&request["count"], &request["mean"]), (&(2 * EACH).into(), &10.0.into()));
    assert_eq!(last["streams_in_flight"], 0);
}

#[test]
fn a_scrape_that_is_given_up_loses_nothing() {
    let hub = hub(AccessLog::Off);
    let (unblock, blocked) = sync_channel::<()>(0);
    let (begun, has_begun) = sync_channel::<()>(0);
    let (end, ended_when) = tokio::sync::oneshot::channel::<()>();
    thread::scope(|scope| {
        let hub = &hub;
        scope.spawn(move || {
            local(async {
                let recorder = hub.worker(0).start();
                one_request(&recorder, Instant::now());
                begun.send(()).unwrap();
                // A worker that hangs: it answers nobody until it is let go.
                blocked.recv().unwrap();
                ended_when.await.unwrap();
            });
        });
        has_begun.recv().unwrap();
        local(async {
            for _ in 0..3 {
                assert!(timeout(Duration::from_millis(5), hub.stats()).await.is_err());
            }
            unblock.send(()).unwrap();
            // Its answer to the first of them may arrive first, and then its answer to this one.
            assert_eq!(ended(&stats(hub).await), 1);
            assert_eq!(ended(&stats(hub).await), 1);
        });
        end.send(()).unwrap();
    });
}

#[test]
fn a_silent_worker_is_left_out_and_counted_and_heard_when_it_speaks_again() {
    local_without_waiting(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        let silent = hub.worker(1);
        one_request(&recorder, Instant::now());
        let first = stats(&hub).await;
        assert_eq!(ended(&first), 1);
        assert_eq!(first["workers"]["answered"], 1);
        assert_eq!(first["workers"]["silent"], serde_json::json!([1]));
        assert_eq!(first["workers"]["scrape_misses"], 1);
        let second = silent.start();
        one_request(&second, Instant::now());
        let heard = stats(&hub).await;
        assert_eq!((ended(&heard), &heard["workers"]["answered"]), (2, &2.into()));
        assert_eq!(heard["workers"]["scrape_misses"], 1);
    });
}

#[test]
fn an_answer_left_by_a_scrape_that_was_given_up_is_taken_and_the_worker_asked_afresh() {
    local_without_waiting(async {
        let hub = hub(AccessLog::Off);
        // Waited for first, so that the other's answer is left lying.
        let _silent = hub.worker(0);
        let recorder = hub.worker(1).start();
        one_request(&recorder, Instant::now());
        assert!(timeout(Duration::from_millis(100), hub.stats()).await.is_err());
        one_request(&recorder, Instant::now());
        assert_eq!(ended(&stats(&hub).await), 2);
    });
}

#[test]
fn what_an_ended_worker_recorded_stays_and_its_gauges_go() {
    let hub = hub(AccessLog::Off);
    local(async {
        let recorder = hub.worker(0).start();
        recorder.upstream(UpstreamId(0)).ready.set(2);
        assert_eq!(stats(&hub).await["upstreams"][0]["connections"]["ready"], 2);
        one_request(&recorder, Instant::now());
    });
    let once = local(stats(&hub));
    assert_eq!(ended(&once), 1);
    assert_eq!(once["workers"]["silent"], serde_json::json!([0]));
    assert_eq!(once["upstreams"][0]["connections"]["ready"], 0);
    assert_eq!(ended(&local(stats(&hub))), 1);
}

#[test]
fn a_second_scrape_adds_nothing_of_its_own() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        one_request(&recorder, Instant::now());
        let (first, second) = (stats(&hub).await, stats(&hub).await);
        assert_eq!(first["latency_us"], second["latency_us"]);
        assert_eq!(first["requests"], second["requests"]);
    });
}
