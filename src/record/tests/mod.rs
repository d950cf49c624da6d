//! The record as its users see it: records go in on workers, pages and lines come out.

mod closing;
mod exposition;
mod log;
mod merging;
mod stamps;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Instant;

use http::{Method, Version};
use serde_json::Value;
use tokio::runtime::{Builder, LocalOptions};

use super::{Hub, Opened, Setup};
use crate::config::{AccessLog, RouteId, UpstreamId};

/// Runs a worker's or a scraper's future in a runtime like a worker's.
fn local<T>(work: impl Future<Output = T>) -> T {
    let options = LocalOptions::default();
    Builder::new_current_thread().enable_all().build_local(options).unwrap().block_on(work)
}

/// The same with a clock that jumps to the next timer when all is idle.
fn local_without_waiting<T>(work: impl Future<Output = T>) -> T {
    let options = LocalOptions::default();
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(true).build_local(options).unwrap().block_on(work)
}

fn hub(access_log: AccessLog) -> Hub {
    Hub::new(Setup {
        workers: 2,
        routes: vec!["/v1".into(), "/local".into()],
        upstreams: vec!["openai".into(), "vllm".into()],
        access_log,
        log_format: crate::config::LogFormat::default(),
        version: "1.2.3",
        commit: "abc",
    })
    .unwrap()
}

fn opened(path: &str, at: Instant) -> Opened {
    Opened {
        at,
        client: SocketAddr::from(([127, 0, 0, 1], 4000)).into(),
        version: Version::HTTP_11,
        method: Method::POST,
        path: path.into(),
    }
}

async fn stats(hub: &Hub) -> Value {
    serde_json::from_str(&hub.stats().await).unwrap()
}

/// Requests that are over, however they ended.
fn ended(stats: &Value) -> u64 {
    stats["stream_end"].as_object().unwrap().values().filter_map(Value::as_u64).sum()
}
