//! Scripts and connections with a real server.
#![allow(clippy::unwrap_used, reason = "the server is told what to answer")]

#[path = "../../../tests/support/installed.rs"]
#[allow(dead_code, reason = "shared with the tests on the wire, which use all of it")]
mod installed;
#[path = "../../../tests/sharing/server.rs"]
#[allow(
    dead_code,
    clippy::expect_used,
    reason = "shared with the tests on the wire, which use all of it"
)]
mod server;

mod books;
mod buckets;
mod connections;
mod limits;

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::exchange::Scripts;
use super::link::{Link, Lost};
use super::script::{Ask, Reply, Sort, Take};
use crate::config::{OnLoss, Redis, RedisAddress};
use installed::installed;
use server::Redis as Server;

/// Both, where they are installed: they part from each other with each version.
fn servers(arguments: &[&str]) -> Vec<Server> {
    let programs = ["redis-server", "valkey-server"].into_iter().filter_map(installed);
    programs.map(|program| Server::start(&program, arguments)).collect()
}

fn section(server: &Server) -> Redis {
    Redis {
        address: RedisAddress::Tcp {
            host: "127.0.0.1".into(),
            port: server.address.port(),
            tls: false,
        },
        cluster: false,
        username: None,
        password: None,
        authority: None,
        client: None,
        database: 0,
        prefix: "test".into(),
        exact: false,
        timeout: Duration::from_millis(50),
        on_loss: OnLoss::Local,
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// An instance that asks a server.
struct Instance {
    runtime: Runtime,
    link: Link,
    scripts: Scripts,
}

impl Instance {
    fn new(name: &str, to: &Redis) -> Self {
        let runtime = runtime();
        let link = runtime.block_on(Link::connect(to)).unwrap();
        let scripts = Scripts::new(name.into(), Duration::from_millis(300), !to.cluster);
        Self { runtime, link, scripts }
    }

    fn ask(&self, asks: &[Ask]) -> Reply {
        self.try_ask(asks).unwrap()
    }

    fn try_ask(&self, asks: &[Ask]) -> Result<Reply, Lost> {
        self.runtime.block_on(self.scripts.ask(&self.link, asks, None))
    }

    /// `None`: the take is void.
    fn take(&self, asks: &[Ask], take: &Take) -> Option<Reply> {
        self.runtime.block_on(self.scripts.ask(&self.link, asks, Some(take))).ok()
    }

    fn instances(&self, leaves: bool) -> u64 {
        self.runtime.block_on(self.scripts.beat(&self.link, "t:{i}".into(), leaves)).unwrap()
    }
}

fn ask(key: &str, sort: Sort, n: i64) -> Ask {
    let state = format!("t:{{{key}}}");
    let keys = [state.clone(), format!("{state}:me")];
    Ask { keys, sort, n, need: 0, seq: 0, era: String::new(), floor: 0, period: 0 }
}

fn rate(per_minute: u64) -> Sort {
    Sort::Rate { per_minute, most: per_minute }
}
