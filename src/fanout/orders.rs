//! What processes tell each other, each by a Redis stream of its own: stop that stream, somebody reads it here, give this
//! subscriber an event. They are lost with the server, and nothing is lost with them that is not said again.

use std::time::Instant;

use redis::Cmd;

use super::shared::Shared;
use super::wire::{Entry, Keys, Link, Lost, entries};
use crate::events::Draft;
use crate::streams::StreamId;

/// Orders that a process has at most; older ones go.
const MOST: usize = 10_000;

/// To this process itself: nothing, so that a read ends.
pub(super) fn wake(keys: &Keys) -> Cmd {
    let mut command = to(keys, &keys.me);
    command.arg("w").arg("");
    command
}

/// These streams are read here.
pub(super) fn read(keys: &Keys, instance: &str, streams: &[StreamId]) -> Cmd {
    let all: Vec<_> = streams.iter().map(StreamId::to_string).collect();
    let mut command = to(keys, instance);
    command.arg("r").arg(all.join(","));
    command
}

/// The owner of a stream stops it.
pub(super) fn stop(keys: &Keys, instance: &str, stream: StreamId) -> Cmd {
    let mut command = to(keys, instance);
    command.arg("s").arg(stream.to_string());
    command
}

/// An event for a subscriber of another process alone.
pub(super) fn give(keys: &Keys, instance: &str, request: &str, draft: &Draft) -> Cmd {
    let mut command = to(keys, instance);
    command.arg("t").arg(request).arg("d").arg(&*draft.lines);
    command
}

fn to(keys: &Keys, instance: &str) -> Cmd {
    let mut command = redis::cmd("XADD");
    command.arg(keys.orders(instance)).arg("MAXLEN").arg("~").arg(MOST).arg("*");
    command
}

/// Does what it was told.
pub(super) fn obey(shared: &Shared, entries: &[Entry]) {
    for entry in entries {
        shared.cursor.set(entry.id);
        let ids = |text: &str| text.split(',').filter_map(StreamId::parse).collect::<Vec<_>>();
        if let Some(text) = entry.text("r") {
            let mut own = shared.own();
            for id in ids(text) {
                own.read(id, Instant::now());
            }
        }
        if let (Some(request), Some(lines)) = (entry.text("t"), entry.get("d")) {
            let seat = shared.events().all().find_map(|topics| topics.seat(request));
            let draft = Draft { id: None, lines: lines.to_vec().into() };
            // One that is gone or does not read gets none.
            let _sent = seat.map(|seat| seat.send(&[draft]));
        }
        if let Some(text) = entry.text("s") {
            let own = shared.own();
            for id in ids(text) {
                own.stop(id);
            }
        }
    }
}

/// After a connection was made: orders begin anew where the server lost them.
pub(super) async fn look_again(shared: &Shared, link: &Link) -> Result<(), Lost> {
    let mut command = redis::cmd("XREVRANGE");
    command.arg(shared.keys.orders(&shared.keys.me)).arg("+").arg("-").arg("COUNT").arg(1);
    let last = entries(link.send(&command).await?).ok_or_else(Lost::strange)?;
    let last = last.first().map_or((0, 0), |entry| entry.id);
    if last < shared.cursor.get() {
        shared.cursor.set((0, 0));
    }
    Ok(())
}
