//! The connection that waits for what others write: streams that are read here, names, and orders.

use std::collections::HashMap;
use std::time::Duration;

use super::finding::PAGE;
use super::orders;
use super::shared::Shared;
use super::wire::{Entry, Link, Lost, by_key, shown};
use crate::streams::StreamId;

/// How long the server waits for something before it says that there is nothing.
const BLOCK: Duration = Duration::from_secs(1);
/// How much later that answer may come.
const LATE: Duration = Duration::from_secs(2);

/// What a key is.
enum Of {
    Orders,
    Stream(StreamId),
    Name,
}

pub(super) struct Reading<'a> {
    shared: &'a Shared,
}

impl<'a> Reading<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Self { shared }
    }

    /// Until the connection is lost; why.
    pub(super) async fn read(&self, link: &Link) -> Lost {
        loop {
            if let Err(lost) = self.turn(link).await {
                return lost;
            }
        }
    }

    async fn turn(&self, link: &Link) -> Result<(), Lost> {
        let shared = self.shared;
        let keys = &shared.keys;
        let mut all = vec![(keys.orders(&keys.me), shared.cursor.get(), Of::Orders)];
        let streams = shared.mirrors().cursors();
        all.extend(streams.into_iter().map(|(id, at)| (keys.bytes(id), at, Of::Stream(id))));
        let names = shared.names().cursors();
        all.extend(names.into_iter().map(|(name, at)| (name, at, Of::Name)));
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(PAGE).arg("BLOCK").arg(BLOCK.as_millis() as u64).arg("STREAMS");
        for (key, ..) in &all {
            command.arg(key);
        }
        for (_, at, _) in &all {
            command.arg(shown(*at));
        }
        let told = link.send_within(&command, BLOCK + LATE).await?;
        let told = by_key(told).ok_or_else(Lost::strange)?;
        if told.is_empty() {
            return Ok(());
        }
        let mut of: HashMap<_, _> = all.into_iter().map(|(key, _, of)| (key, of)).collect();
        for (key, entries) in told {
            if let Some(of) = of.remove(&key) {
                self.give(&key, &of, entries);
            }
        }
        Ok(())
    }

    fn give(&self, key: &str, of: &Of, entries: Vec<Entry>) {
        match *of {
            Of::Orders => orders::obey(self.shared, &entries),
            Of::Stream(id) => self.shared.mirrors().take(id, &entries),
            Of::Name => self.shared.names().take(key, entries),
        }
    }
}
