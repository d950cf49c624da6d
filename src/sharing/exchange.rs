//! One exchange with the server: who is there, and what was taken of limits.

use std::sync::Arc;
use std::time::Duration;

use redis::{Script, Value};
use tokio::task::JoinSet;

use super::link::{Link, Lost};
use super::script::{self, Ask, INSTANCES, LIMITS, Reply, Take, Told, arguments, number};

/// Limits in one call: the server does nothing else meanwhile.
const IN_ONE: usize = 64;

/// What does not change from one exchange to the next.
#[derive(Clone)]
pub(super) struct Scripts {
    limits: Arc<Script>,
    instances: Arc<Script>,
    /// This instance's name.
    pub(super) me: Arc<str>,
    /// How long what it says of itself holds, in milliseconds.
    pub(super) hold: u64,
    /// A call may have several limits.
    pub(super) several: bool,
}

/// What is said in one exchange.
pub(super) struct Said {
    pub(super) asks: Vec<(String, Ask)>,
    /// The key of the instances, where it is time to say that this one is there.
    pub(super) beat: Option<String>,
}

/// What is heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) told: Vec<(String, Told)>,
    pub(super) instances: Option<u64>,
}

enum Part {
    Limits(Vec<String>, Reply),
    Instances(u64),
}

impl Scripts {
    pub(super) fn new(me: Arc<str>, hold: Duration, several: bool) -> Self {
        let hold = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);
        let (limits, instances) = (Arc::new(Script::new(LIMITS)), Arc::new(Script::new(INSTANCES)));
        Self { limits, instances, me, hold, several }
    }

    /// All calls at once: they leave in one write, and their answers come in one round trip. One that fails fails all:
    /// what was told of is told again.
    pub(super) async fn exchange(
        &self,
        link: &Link,
        said: Said,
        within: Duration,
    ) -> Result<Heard, Lost> {
        let mut parts = JoinSet::new();
        let in_one = if self.several { IN_ONE } else { 1 };
        let mut rest = said.asks;
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(in_one));
            let (keys, asks): (Vec<_>, Vec<_>) =
                std::mem::replace(&mut rest, later).into_iter().unzip();
            let (this, link) = (self.clone(), link.clone());
            parts.spawn(async move { Ok(Part::Limits(keys, this.ask(&link, &asks, None).await?)) });
        }
        if let Some(key) = said.beat {
            let (this, link) = (self.clone(), link.clone());
            parts.spawn(async move { this.beat(&link, key, false).await.map(Part::Instances) });
        }
        let mut heard = Heard::default();
        let all = async {
            while let Some(part) = parts.join_next().await {
                match part.unwrap_or(Err(Lost::Timeout))? {
                    Part::Limits(keys, reply) => {
                        heard.told.extend(keys.into_iter().zip(reply.told));
                    }
                    Part::Instances(count) => heard.instances = Some(count),
                }
            }
            Ok(())
        };
        tokio::time::timeout(within, all).await.unwrap_or(Err(Lost::Timeout))?;
        Ok(heard)
    }

    /// Of several limits in one call: all or none of them. `take`: of a request.
    pub(super) async fn ask(
        &self,
        link: &Link,
        asks: &[Ask],
        take: Option<&Take>,
    ) -> Result<Reply, Lost> {
        let (keys, arguments) = arguments(&self.me, self.hold, asks, take);
        let value = link.run(&self.limits, LIMITS, &keys, &arguments).await?;
        script::reply(&value, asks.len()).ok_or_else(|| strange(&value))
    }

    /// This instance is there, or leaves. How many there are.
    pub(super) async fn beat(&self, link: &Link, key: String, leaves: bool) -> Result<u64, Lost> {
        let arguments = [self.me.to_string(), self.hold.to_string(), u8::from(leaves).to_string()];
        let value = link.run(&self.instances, INSTANCES, &[key], &arguments).await?;
        let count = number(&value).and_then(|count| u64::try_from(count).ok());
        count.ok_or_else(|| strange(&value))
    }
}

fn strange(value: &Value) -> Lost {
    let kind = match value {
        Value::Array(all) => format!("an array of {}", all.len()),
        Value::Nil => "nothing".to_owned(),
        _ => "something else".to_owned(),
    };
    Lost::Answer(format!("a script of ours was answered with {kind}"))
}
