//! The loop against a small server: what it starts, what it counts, what it waits for.

use std::sync::Arc;
use std::time::Duration;

use crate::peers::http2_peer;
use loadtest::client::{Protocol, SendOptions, Target};
use loadtest::load::Plan;
use loadtest::load::schedule::{Arrivals, Schedule, Stage};
use loadtest::load::worker::{Connections, Pass, Program, TargetPlan, Workers};
use loadtest::measure::Interval;
use loadtest::request::{Prompts, RequestSource, RequestSpec};

fn target_plan(url: &str) -> TargetPlan {
    let ask = RequestSpec {
        method: http::Method::POST,
        path: "/v1/chat/completions".into(),
        headers: http::HeaderMap::new(),
        key: None,
        template: "{}".parse().unwrap(),
        prompts: Prompts::generated(8, 1, 1),
        model: "m".into(),
        max_tokens: 1,
        stream: true,
    };
    let target = Target::new(url).unwrap().speaking(Protocol::Http2);
    let ask = Arc::new(RequestSource::new(ask).unwrap());
    TargetPlan {
        target,
        ask,
        cold: false,
        processes: Vec::new(),
        connections: Connections::Exactly(1),
        streams: 100,
    }
}

fn plan(schedule: Schedule, slots: usize) -> Plan {
    let options = SendOptions::default();
    let (warm_up, think) = (Duration::ZERO, Duration::ZERO);
    Plan { schedule, slots, until: None, warm_up, think, options, slow: None }
}

fn run(target_plan: TargetPlan, plan: Plan, threads: usize) -> Vec<Interval> {
    let passes = vec![Pass { target: 0, slice: 0, plan }];
    let interval = Duration::from_millis(100);
    let program = Program { target_plans: vec![target_plan], passes, threads, interval };
    let mut workers = Workers::start(program).unwrap();
    let notes = workers.notes().collect();
    workers.join().unwrap();
    notes
}

fn ended(notes: &[Interval]) -> Vec<u64> {
    let mut ids: Vec<u64> = notes.iter().flat_map(|page| &page.rows).map(|row| row.id).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn every_request_started_is_ended_and_counted_once() {
    let url = http2_peer().await;
    for threads in [1, 3] {
        let (target_plan, plan) = (target_plan(&url), plan(Schedule::closed(Some(50)), 4));
        let notes =
            tokio::task::spawn_blocking(move || run(target_plan, plan, threads)).await.unwrap();
        assert_eq!(ended(&notes), (0..50).collect::<Vec<_>>());
        let gaps: u64 = notes.iter().map(|page| page.gap.len()).sum();
        assert_eq!(gaps, 50, "one gap between the two events of each");
        assert_eq!(notes.iter().map(|page| page.started).sum::<u64>(), 50);
    }
}

#[tokio::test]
async fn an_open_loop_does_not_wait_and_a_late_start_counts_from_its_due_time() {
    let url = http2_peer().await;
    let stages = || vec![Stage::constant(Duration::from_millis(200), 500.0)];
    let schedule = || Schedule::open(stages(), Arrivals::Constant, None, 1);
    let (free, bound) = (plan(schedule(), 1000), plan(schedule(), 1));
    let target_plan = target_plan(&url);
    let (free, bound) = tokio::task::spawn_blocking(move || {
        (run(target_plan.clone(), free, 1), run(target_plan, bound, 1))
    })
    .await
    .unwrap();
    let lags = |notes: &[Interval]| {
        let rows = notes.iter().flat_map(|page| &page.rows);
        let mut lags: Vec<u64> =
            rows.map(|row| row.outcome.stamps.started.since(row.outcome.stamps.due)).collect();
        lags.sort_unstable();
        lags
    };
    let (free, bound) = (lags(&free), lags(&bound));
    assert_eq!((free.len(), bound.len()), (100, 100));
    // Each takes 20 ms and one is due every 2 ms: with one slot the queue grows to the end.
    assert!(bound[50] > 10 * free[50], "{} against {}", bound[50], free[50]);
}

#[tokio::test]
async fn the_warm_up_is_sent_but_not_counted() {
    let url = http2_peer().await;
    let stages = vec![Stage::constant(Duration::from_secs(1), 100.0)];
    let schedule = Schedule::open(stages, Arrivals::Constant, None, 1);
    let plan = Plan { warm_up: Duration::from_millis(300), ..plan(schedule, 1000) };
    let target_plan = target_plan(&url);
    let notes = tokio::task::spawn_blocking(move || run(target_plan, plan, 1)).await.unwrap();
    assert_eq!(ended(&notes), (30..100).collect::<Vec<_>>());
    assert_eq!(notes.iter().map(|page| page.started).sum::<u64>(), 100);
}

#[tokio::test]
async fn slow_readers_are_counted_and_are_in_no_gap() {
    let url = http2_peer().await;
    let slow = Some("50%@1ms".parse().unwrap());
    let (target_plan, plan) =
        (target_plan(&url), Plan { slow, ..plan(Schedule::closed(Some(20)), 4) });
    let notes = tokio::task::spawn_blocking(move || run(target_plan, plan, 1)).await.unwrap();
    assert_eq!(ended(&notes), (0..20).collect::<Vec<_>>());
    let rows = || notes.iter().flat_map(|page| &page.rows);
    assert!(rows().all(|row| row.outcome.ok() && row.outcome.slow == (row.id % 2 == 1)));
    assert_eq!(notes.iter().map(|page| page.gap.len()).sum::<u64>(), 10, "one of each other");
}

#[tokio::test]
async fn a_stop_drains_what_is_in_flight() {
    let url = http2_peer().await;
    let (target_plan, plan) = (target_plan(&url), plan(Schedule::closed(None), 8));
    let notes = tokio::task::spawn_blocking(move || {
        let passes = vec![Pass { target: 0, slice: 0, plan }];
        let interval = Duration::from_millis(20);
        let program = Program { target_plans: vec![target_plan], passes, threads: 1, interval };
        let mut workers = Workers::start(program).unwrap();
        let mut notes: Vec<Interval> = workers.notes().take(3).collect();
        workers.stop();
        notes.extend(workers.notes());
        workers.join().unwrap();
        notes
    })
    .await
    .unwrap();
    assert!(notes.iter().flat_map(|page| &page.rows).all(|row| row.outcome.ok()));
    let started: u64 = notes.iter().map(|page| page.started).sum();
    assert_eq!(ended(&notes).len() as u64, started, "none was cut");
}
