//! Names whose events are in Redis: published there, and read from there by all, so that all have them in one order.

use std::sync::Arc;

use redis::{Script, Value};

use super::held::epoch;
use super::shared::Shared;
use super::wire::{Link, Lost, entries, entry_id, shown, text};
use crate::config::Events;
use crate::error::{Error, Kind};
use crate::events::{Draft, Epoch, Key, OwnId, Stamp, Topic};

const PUBLISH: &str = include_str!("publish.lua");
/// Events that Redis has of a name at least: a process that reads a little later than they are written has them all.
const LEAST: usize = 1024;

/// Publishes; the id of the last. See [`Elsewhere::publish`](crate::events::Elsewhere::publish).
pub(super) async fn publish(
    shared: Arc<Shared>,
    key: Key,
    drafts: Vec<Draft>,
    bounds: Events,
) -> Result<Box<str>, Error> {
    let chosen = drafts.last().and_then(|draft| draft.id.clone());
    let told = async {
        let link = shared.link()?;
        let arguments = arguments(&key, drafts, &bounds);
        let script = Script::new(PUBLISH);
        link.run(&script, PUBLISH, &shared.keys.of_name(&key), &arguments).await
    };
    let told = told.await.and_then(|told| outcome(&told).ok_or_else(Lost::strange));
    match told {
        Ok(Published::At(own)) => Ok(chosen.unwrap_or_else(|| own.to_string().into())),
        Ok(Published::Full) => Err(Kind::EventNamesFull.into()),
        Ok(Published::Taken) => Err(Kind::EventIdTaken.into()),
        Err(lost) => Err(refused(&shared, &lost)),
    }
}

/// Follows; see [`Elsewhere::follow`](crate::events::Elsewhere::follow). Dropped early, nothing was done.
pub(super) async fn follow(
    shared: Arc<Shared>,
    key: Key,
    topic: Arc<Topic>,
    bounds: Events,
) -> Result<(), Error> {
    let name = shared.keys.events(&key);
    let told = async {
        let cursor = shared.names().cursor(&name, &topic);
        let link = shared.link()?;
        let mut command = redis::cmd("XRANGE");
        command.arg(&name).arg(format!("({}", shown(cursor))).arg("+");
        entries(link.send(&command).await?).ok_or_else(Lost::strange)
    };
    let entries = told.await.map_err(|lost| refused(&shared, &lost))?;
    let is_new = shared.names().follow((name, key), &topic, &bounds, entries);
    if is_new {
        shared.changed.notify_one();
        shared.meters.names(shared.names().len());
    }
    Ok(())
}

/// Which life each followed name has just now.
pub(super) async fn look_again(shared: &Shared, link: &Link) -> Result<(), Lost> {
    let all = shared.names().all();
    let commands = all.iter().map(|(_, key)| {
        let mut command = redis::cmd("HGET");
        command.arg(&shared.keys.of_name(key)[1]).arg("p");
        command
    });
    let told = link.send_all(commands.collect()).await?;
    let lives =
        all.into_iter().zip(told).map(|((name, _), told)| (name, text(&told).and_then(epoch)));
    let lives: Vec<_> = lives.collect();
    shared.names().again(&lives);
    Ok(())
}

/// What became of a publish.
#[derive(Debug, PartialEq, Eq)]
enum Published {
    At(OwnId),
    Full,
    Taken,
}

fn outcome(told: &Value) -> Option<Published> {
    match told {
        Value::Array(two) => {
            let [its, last] = &two[..] else { return None };
            let (ms, nth) = entry_id(text(last)?)?;
            let own = OwnId { epoch: epoch(text(its)?)?, stamp: Stamp::Redis(ms, nth) };
            Some(Published::At(own))
        }
        word => match text(word)? {
            "full" => Some(Published::Full),
            "taken" => Some(Published::Taken),
            _ => None,
        },
    }
}

fn arguments(key: &Key, drafts: Vec<Draft>, bounds: &Events) -> Vec<Vec<u8>> {
    let kept = bounds.history.max(LEAST);
    let mut arguments = vec![
        Epoch::random().to_string().into_bytes(),
        kept.to_string().into(),
        bounds.bytes.to_string().into(),
        bounds.expire.as_millis().max(1).to_string().into(),
        bounds.names.to_string().into(),
        key.name.as_str().into(),
    ];
    for Draft { id, lines } in drafts {
        arguments.push(id.map(|id| Box::<[u8]>::from(id).into_vec()).unwrap_or_default());
        arguments.push(lines.to_vec());
    }
    arguments
}

fn refused(shared: &Shared, lost: &Lost) -> Error {
    shared.failed(lost);
    Kind::SharedStoreLost.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_a_publish_is_read_strictly() {
        let bulk = |text: &str| Value::BulkString(text.into());
        let both = Value::Array(vec![bulk("00000000000000ff"), bulk("7-1")]);
        let own = OwnId { epoch: Epoch(255), stamp: Stamp::Redis(7, 1) };
        assert_eq!(outcome(&both), Some(Published::At(own)));
        assert_eq!(outcome(&bulk("full")), Some(Published::Full));
        assert_eq!(outcome(&bulk("taken")), Some(Published::Taken));
        for wrong in [Value::Nil, bulk(""), Value::Array(vec![bulk("ff")]), Value::Int(1)] {
            assert_eq!(outcome(&wrong), None, "{wrong:?}");
        }
    }
}
