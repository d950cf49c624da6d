//! Every record is closed exactly once, whatever becomes of its request.

use std::rc::Rc;
use std::time::Instant;

use http::StatusCode;
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::super::Outcome;
use super::*;

#[test]
fn the_first_end_wins_and_the_last_owner_closes() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        let body = recorder.open(opened("/v1/models", Instant::now()));
        let task = Rc::clone(&body);
        body.routed(RouteId(0), UpstreamId(1));
        body.status(StatusCode::OK);
        body.end(Outcome::Complete);
        task.end(Outcome::TimedOut);
        drop(task);
        let before = stats(&hub).await;
        assert_eq!((ended(&before), &before["streams_in_flight"]), (0, &json!(1)));
        drop(body);
        let after = stats(&hub).await;
        assert_eq!((ended(&after), &after["streams_in_flight"]), (1, &json!(0)));
        assert_eq!(after["stream_end"]["complete"], 1);
        let request = json!({ "route": "/v1", "upstream": "vllm", "code": "200", "count": 1 });
        assert_eq!(after["requests"], json!([request]));
    });
}

#[test]
fn each_outcome_is_counted_as_itself() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        for (times, outcome) in Outcome::ALL.into_iter().enumerate() {
            for _ in 0..=times {
                recorder.open(opened("/", Instant::now())).end(outcome);
            }
        }
        let ends = json!({
            "complete": 1, "upstream_failed": 2, "client_gone": 3, "timed_out": 4, "refused": 5,
        });
        assert_eq!(stats(&hub).await["stream_end"], ends);
    });
}

#[test]
fn a_request_dropped_in_any_window_counts_once_as_a_client_that_left() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        for window in 0..4 {
            let now = Instant::now();
            let record = recorder.open(opened("/v1", now));
            if window > 0 {
                record.routed(RouteId(0), UpstreamId(0));
            }
            if window > 1 {
                record.head_sent(now);
                record.upstream_head(now, StatusCode::OK, || None);
                record.handed(now);
            }
            if window > 2 {
                record.written(now);
                record.upstream_frame(now, 10);
                record.handed(now);
            }
        }
        let seen = stats(&hub).await;
        assert_eq!((ended(&seen), &seen["stream_end"]["client_gone"]), (4, &json!(4)));
        assert_eq!(seen["streams_in_flight"], 0);
    });
}

#[test]
fn what_a_drain_cuts_is_counted_and_what_ended_before_is_not() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        assert_eq!(
            stats(&hub).await["drain"],
            json!({ "draining": false, "seconds": 0.0, "cut": 0 })
        );
        let (done, cut) = (opened("/", Instant::now()), opened("/", Instant::now()));
        let (done, cut) = (recorder.open(done), recorder.open(cut));
        done.end(Outcome::Complete);
        hub.drains();
        recorder.cut_rest("draining");
        drop((done, cut));
        let seen = stats(&hub).await;
        assert_eq!((&seen["drain"]["draining"], &seen["drain"]["cut"]), (&json!(true), &json!(1)));
        assert!(hub.metrics().await.contains("firstbyte_drain_cut_total 1\n"));
    });
}

#[test]
fn an_aborted_task_and_a_panicking_one_close_their_records() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        let (aborted, panicking) = (recorder.clone(), recorder.clone());
        let opened_it = Rc::new(Notify::new());
        let has_opened = Rc::clone(&opened_it);
        let stuck = spawn_local(async move {
            let _record = aborted.open(opened("/", Instant::now()));
            has_opened.notify_one();
            std::future::pending::<()>().await;
        });
        opened_it.notified().await;
        assert_eq!(stats(&hub).await["streams_in_flight"], 1);
        stuck.abort();
        assert!(stuck.await.unwrap_err().is_cancelled());
        let failed = spawn_local(async move {
            let _record = panicking.open(opened("/", Instant::now()));
            let _connection = panicking.client_connection();
            panic!("on purpose");
        });
        assert!(failed.await.unwrap_err().is_panic());
        let seen = stats(&hub).await;
        assert_eq!((ended(&seen), &seen["streams_in_flight"]), (2, &json!(0)));
        assert_eq!(seen["client_connections"], 0);
    });
}

#[test]
fn gauges_follow_their_guards() {
    local(async {
        let hub = hub(AccessLog::Off);
        let recorder = hub.worker(0).start();
        let client = recorder.client_connection();
        let meters = recorder.upstream(UpstreamId(1));
        let connecting = meters.connecting.enter();
        meters.ready.set(3);
        meters.waiting.set(7);
        drop(connecting);
        recorder.upstream(UpstreamId(99)).ready.set(1_000);
        let seen = stats(&hub).await;
        assert_eq!(seen["client_connections"], 1);
        let upstream = &seen["upstreams"][1];
        let connections = json!({ "connecting": 0, "ready": 3, "suspect": 0, "draining": 0 });
        assert_eq!(upstream["connections"], connections);
        assert_eq!((&upstream["waiting"], &upstream["streams"]), (&json!(7), &json!(0)));
        assert_eq!(seen["upstreams"][0]["connections"]["ready"], 0);
        drop(client);
        assert_eq!(stats(&hub).await["client_connections"], 0);
    });
}
