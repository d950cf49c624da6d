//! A connection to Redis or Valkey for streams and events, and commands on it.

use std::fmt;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisError, Script, Value};

use crate::config::Redis;
use crate::redis::{cluster, shown, single};

/// How long a connect may take, TLS and AUTH included.
const CONNECT: Duration = Duration::from_secs(1);
/// Longest answer of a cluster's connection: longer than any command here waits.
const LONGEST: Duration = Duration::from_secs(10);

/// One connection, or one to each node of a cluster. Its clones are the same connection, and it closes with the last of
/// them. Commands leave in the order in which they are first polled; nobody waits for the answer of another's.
#[derive(Clone)]
pub(in crate::fanout) struct Link {
    to: Server,
    /// For each command that does not say otherwise.
    within: Duration,
}

#[derive(Clone)]
enum Server {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Why nothing can be had of Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fanout) enum Lost {
    /// There is no connection just now.
    Absent,
    /// No connection can be made, or it ended; how.
    Connection(String),
    /// It does not answer in time.
    Timeout,
    /// It does not know a script by its digest, or takes none.
    Script,
    /// It answered with an error.
    Answer(String),
}

impl Lost {
    /// It answered, and not as Redis does.
    pub(in crate::fanout) fn strange() -> Self {
        Self::Answer("a command was answered with something else".to_owned())
    }

    /// For a metric.
    pub(in crate::fanout) fn word(&self) -> &'static str {
        match self {
            Self::Absent | Self::Connection(_) => "connection",
            Self::Timeout => "timeout",
            Self::Script | Self::Answer(_) => "answer",
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => write!(f, "no connection"),
            Self::Connection(why) => write!(f, "no connection: {why}"),
            Self::Timeout => write!(f, "no answer in time"),
            Self::Script => {
                write!(f, "the server refuses EVALSHA; allow EVAL and EVALSHA to this user")
            }
            Self::Answer(why) => write!(f, "{why}"),
        }
    }
}

impl Link {
    /// Connects and signs in. Dropped, nothing stays open. `within`: how long its commands may take.
    pub(in crate::fanout) async fn connect(to: &Redis, within: Duration) -> Result<Self, Lost> {
        let connecting = async {
            if to.cluster {
                let nodes = cluster(to)?.retries(2).connection_timeout(CONNECT);
                let client = nodes.response_timeout(LONGEST).build()?;
                client.get_async_connection().await.map(Server::Cluster)
            } else {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT))
                    .set_response_timeout(None);
                let client = single(to)?;
                let one = client.get_multiplexed_async_connection_with_config(&config).await;
                one.map(Server::One)
            }
        };
        match tokio::time::timeout(CONNECT, connecting).await {
            Ok(Ok(to)) => Ok(Self { to, within }),
            Ok(Err(error)) => Err(Lost::Connection(shown(&error))),
            Err(_elapsed) => Err(Lost::Timeout),
        }
    }

    /// One command.
    pub(in crate::fanout) async fn send(&self, command: &Cmd) -> Result<Value, Lost> {
        self.send_within(command, self.within).await
    }

    /// One that waits at the server.
    pub(in crate::fanout) async fn send_within(
        &self,
        command: &Cmd,
        within: Duration,
    ) -> Result<Value, Lost> {
        let sending = async {
            let value = match &self.to {
                Server::One(one) => one.clone().req_packed_command(command).await?,
                Server::Cluster(all) => all.clone().req_packed_command(command).await?,
            };
            value.extract_error()
        };
        in_time(within, sending).await
    }

    /// All of these, in one write and one round trip; their answers in the same order. Keys of one slot.
    pub(in crate::fanout) async fn send_all(&self, commands: Vec<Cmd>) -> Result<Vec<Value>, Lost> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let count = commands.len();
        let mut all = Pipeline::with_capacity(count);
        for command in commands {
            all.add_command(command);
        }
        let sending = async {
            match &self.to {
                Server::One(one) => one.clone().req_packed_commands(&all, 0, count).await,
                Server::Cluster(nodes) => nodes.clone().req_packed_commands(&all, 0, count).await,
            }
        };
        in_time(self.within, sending).await
    }

    /// Runs a script: by its digest, and in full where the server does not know that.
    pub(in crate::fanout) async fn run(
        &self,
        script: &Script,
        code: &str,
        keys: &[String],
        arguments: &[Vec<u8>],
    ) -> Result<Value, Lost> {
        let command = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
            command
        };
        match self.send(&command("EVALSHA", script.get_hash())).await {
            Err(Lost::Script) => self.send(&command("EVAL", code)).await,
            other => other,
        }
    }
}

async fn in_time<T>(
    within: Duration,
    sending: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, Lost> {
    match tokio::time::timeout(within, sending).await {
        Ok(told) => told.map_err(|error| lost(&error)),
        Err(_elapsed) => Err(Lost::Timeout),
    }
}

fn lost(error: &RedisError) -> Lost {
    if error.is_timeout() {
        return Lost::Timeout;
    }
    let text = shown(error);
    if error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error() {
        return Lost::Connection(text);
    }
    let is_unknown = || text.to_ascii_lowercase().contains("unknown command");
    match error.code() {
        Some("NOSCRIPT" | "NOPERM") => Lost::Script,
        _ if is_unknown() => Lost::Script,
        Some("MOVED" | "ASK") => Lost::Answer(format!(
            "{text}: the server is part of a cluster; set redis.cluster: true"
        )),
        _ => Lost::Answer(text),
    }
}
