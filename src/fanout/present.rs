//! Who is connected to which process, for operators: each writes a list of its subscribers from time to time.

use std::time::Duration;

use redis::Cmd;
use serde_json::{Value, json};

use super::orders;
use super::shared::Shared;
use super::wire::{Lost, text};
use crate::error::{Error, Kind};
use crate::events::Draft;

/// Between two lists, and how long each holds.
pub(super) const EACH: Duration = Duration::from_secs(2);
const HOLD: Duration = Duration::from_secs(8);
/// A process that said nothing for so long is listed no more.
const GONE: Duration = Duration::from_secs(60);

/// This process's list, and its name among those of all. Nothing where it has no names of events.
pub(super) fn written(shared: &Shared, unix_ms: u64) -> Vec<Cmd> {
    if shared.events().all().next().is_none() {
        return Vec::new();
    }
    let keys = &shared.keys;
    let mut list = redis::cmd("SET");
    list.arg(keys.present(&keys.me)).arg(shared.hub.connected());
    list.arg("PX").arg(HOLD.as_millis() as u64);
    let mut name = redis::cmd("ZADD");
    name.arg(keys.instances()).arg(unix_ms).arg(&*keys.me);
    let mut gone = redis::cmd("ZREMRANGEBYSCORE");
    let long_ago = unix_ms.saturating_sub(GONE.as_millis() as u64);
    gone.arg(keys.instances()).arg("-inf").arg(long_ago);
    vec![list, name, gone]
}

/// The lists of all other processes.
pub(super) async fn all(shared: &Shared) -> Result<String, Error> {
    let lists = lists(shared).await.map_err(|lost| refused(shared, &lost))?;
    let named = lists.into_iter().map(|(process, mut list)| {
        list["process"] = json!(process);
        list
    });
    Ok(named.collect::<Value>().to_string())
}

/// The process whose list has this subscriber.
pub(super) async fn find(shared: &Shared, request: &str) -> Result<Option<String>, Error> {
    let lists = lists(shared).await.map_err(|lost| refused(shared, &lost))?;
    let has = |list: &Value| {
        let subscribers = list["list"].as_array();
        subscribers.is_some_and(|all| all.iter().any(|one| one["id"] == request))
    };
    Ok(lists.into_iter().find(|(_, list)| has(list)).map(|(process, _)| process))
}

/// Sends events to a subscriber of another process.
pub(super) async fn send(
    shared: &Shared,
    process: &str,
    request: &str,
    drafts: Vec<Draft>,
) -> Result<(), Error> {
    let given = drafts.iter().map(|draft| orders::give(&shared.keys, process, request, draft));
    let given = given.collect();
    let sent = async { shared.link()?.send_all(given).await };
    sent.await.map(drop).map_err(|lost| refused(shared, &lost))
}

async fn lists(shared: &Shared) -> Result<Vec<(String, Value)>, Lost> {
    let link = shared.link()?;
    let mut command = redis::cmd("ZRANGE");
    command.arg(shared.keys.instances()).arg(0).arg(-1);
    let redis::Value::Array(names) = link.send(&command).await? else {
        return Err(Lost::strange());
    };
    let names = names.iter().filter_map(text).filter(|name| **name != *shared.keys.me);
    let names: Vec<_> = names.map(str::to_owned).collect();
    let get = |name: &String| {
        let mut command = redis::cmd("GET");
        command.arg(shared.keys.present(name));
        command
    };
    let told = link.send_all(names.iter().map(get).collect()).await?;
    let lists = names
        .into_iter()
        .zip(told)
        .filter_map(|(name, told)| Some((name, serde_json::from_str(text(&told)?).ok()?)));
    Ok(lists.collect())
}

fn refused(shared: &Shared, lost: &Lost) -> Error {
    shared.failed(lost);
    Kind::SharedStoreLost.into()
}
