//! A connection to Redis or Valkey, to one server or to a cluster, and scripts on it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisError, Script, Value};

use crate::config::Redis;
use crate::redis::{cluster, shown, single};

/// How long a connect may take, TLS and AUTH included.
const CONNECT: Duration = Duration::from_secs(1);

/// One connection, or one to each node of a cluster. Its clones are the same connection; it is closed when the last of
/// them is dropped.
#[derive(Clone)]
pub(super) struct Link {
    to: Server,
    /// The server took no EVALSHA: some proxies have none.
    whole: Arc<AtomicBool>,
}

#[derive(Clone)]
enum Server {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Why nothing can be had of Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    /// No connection can be made, or it ended; how.
    Connection(String),
    /// It does not answer in time.
    Timeout,
    /// It runs no scripts for us: neither by EVALSHA nor by EVAL.
    Scripts(String),
    /// It answered with an error.
    Answer(String),
}

impl Lost {
    /// For a metric.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Connection(_) => "connection",
            Self::Timeout => "timeout",
            Self::Scripts(_) => "scripts",
            Self::Answer(_) => "answer",
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(why) => write!(f, "no connection: {why}"),
            Self::Timeout => write!(f, "no answer in time"),
            Self::Scripts(why) => write!(
                f,
                "the server refuses scripts ({why}): limits cannot be shared; allow EVAL, or EVALSHA \
                 and EVAL, to this user"
            ),
            Self::Answer(why) => write!(f, "{why}"),
        }
    }
}

impl Link {
    /// Connects and signs in. Dropped, nothing stays open.
    pub(super) async fn connect(to: &Redis) -> Result<Self, Lost> {
        let connecting = async {
            if to.cluster {
                // Nodes that moved are learned of again; a sync that fails is made again anyway.
                let nodes = cluster(to)?.retries(2);
                let client = nodes.connection_timeout(CONNECT).response_timeout(CONNECT).build()?;
                client.get_async_connection().await.map(Server::Cluster)
            } else {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT))
                    .set_response_timeout(None); // whoever calls knows how long he waits
                let client = single(to)?;
                let one = client.get_multiplexed_async_connection_with_config(&config).await;
                one.map(Server::One)
            }
        };
        match tokio::time::timeout(CONNECT, connecting).await {
            Ok(Ok(to)) => Ok(Self { to, whole: Arc::default() }),
            Ok(Err(error)) => Err(Lost::Connection(shown(&error))),
            Err(_elapsed) => Err(Lost::Timeout),
        }
    }

    /// Runs a script: by its digest, and in full where the server does not know that, or takes no digests.
    pub(super) async fn run(
        &self,
        script: &Script,
        code: &str,
        keys: &[String],
        arguments: &[String],
    ) -> Result<Value, Lost> {
        if !self.whole.load(Relaxed) {
            let by_digest = command("EVALSHA", script.get_hash(), keys, arguments);
            match self.send(&by_digest).await {
                Err(error) if is_unknown_script(&error) => {}
                Err(error) if refuses(&error) => self.whole.store(true, Relaxed),
                other => return other.map_err(|error| lost(&error)),
            }
        }
        match self.send(&command("EVAL", code, keys, arguments)).await {
            Err(error) if refuses(&error) => Err(Lost::Scripts(shown(&error))),
            other => other.map_err(|error| lost(&error)),
        }
    }

    async fn send(&self, command: &Cmd) -> Result<Value, RedisError> {
        let value = match &self.to {
            Server::One(one) => one.clone().req_packed_command(command).await?,
            Server::Cluster(all) => all.clone().req_packed_command(command).await?,
        };
        value.extract_error()
    }
}

fn command(name: &str, script: &str, keys: &[String], arguments: &[String]) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    command
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// The server, its user's rights or a proxy before it have no such command.
fn refuses(error: &RedisError) -> bool {
    let says = |word: &str| error.to_string().to_ascii_lowercase().contains(word);
    error.code() == Some("NOPERM")
        || says("unknown command")
        || says("unsupported command")
        || says("not supported")
        || says("not allowed")
}

fn lost(error: &RedisError) -> Lost {
    if error.is_timeout() {
        return Lost::Timeout;
    }
    let text = shown(error);
    if error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error() {
        return Lost::Connection(text);
    }
    match error.code() {
        Some("MOVED" | "ASK") => Lost::Answer(format!(
            "{text}: the server is part of a cluster; set redis.cluster: true"
        )),
        _ => Lost::Answer(text),
    }
}
