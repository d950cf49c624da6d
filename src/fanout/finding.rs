//! A stream of another process, for a client that asks for it here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::held::{Meta, Mirror, read};
use super::shared::Shared;
use super::wire::{Entry, EntryId, Link, Lost, entries, fields, shown};
use crate::error::Kind;
use crate::streams::{KeptStream, Owner, StreamId};

/// Entries that are read at once.
pub(super) const PAGE: usize = 64;
/// A client may come back before the stream that it lost is told of.
const ON_ITS_WAY: Duration = Duration::from_millis(100);

/// The stream of this id, if it is this owner's: adopted, so that the next who asks finds it here.
///
/// # Errors
/// Redis cannot be asked now, or the owner has as many streams here as it may.
pub(super) async fn find(
    shared: Arc<Shared>,
    id: StreamId,
    owner: Owner,
) -> Result<Option<Arc<KeptStream>>, Kind> {
    let found = look_up(&shared, id, &owner).await;
    let (meta, page, is_alive) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(None),
        Err(lost) => {
            shared.failed(&lost);
            return Err(Kind::SharedStoreLost);
        }
    };
    let now = Instant::now();
    let Some(stream) = shared.registry.adopt(id, meta.made, now) else {
        // Another request may have adopted it meanwhile.
        return shared.registry.find(id, &owner).map(Some).ok_or(Kind::Busy);
    };
    let mut mirror = Mirror::new(Arc::clone(&stream), meta.instance);
    // Nothing waits from here on: whoever asked may be gone at any moment before, and then nothing was done.
    if mirror.take(&page, now) {
        if !is_alive {
            mirror.missed();
        }
        shared.mirrors().insert(mirror);
        shared.changed.notify_one();
    }
    shared.adopted.notify_one();
    let own = shared.own().len();
    shared.meters.streams(own, shared.mirrors().len());
    Ok(Some(stream))
}

type Page = (Meta, Vec<Entry>, bool);

async fn look_up(shared: &Shared, id: StreamId, owner: &Owner) -> Result<Option<Page>, Lost> {
    let link = shared.link()?;
    let mut found = meta(shared, &link, id).await?;
    if found.is_none() {
        tokio::time::sleep(ON_ITS_WAY).await;
        found = meta(shared, &link, id).await?;
    }
    // One of this process's own that is not here is here no more.
    let ours = |meta: &Meta| meta.made.owner == *owner && meta.instance != shared.keys.me;
    let Some(meta) = found.filter(ours) else { return Ok(None) };
    let page = page(shared, &link, id, None).await?;
    let mut command = redis::cmd("EXISTS");
    command.arg(shared.keys.alive(&meta.instance));
    let is_alive = link.send(&command).await? == redis::Value::Int(1);
    Ok(Some((meta, page, is_alive)))
}

async fn meta(shared: &Shared, link: &Link, id: StreamId) -> Result<Option<Meta>, Lost> {
    let mut command = redis::cmd("HGETALL");
    command.arg(shared.keys.meta(id));
    let told = fields(link.send(&command).await?).unwrap_or_default();
    Ok(read(&told))
}

/// The first entries of a stream, or those behind one.
pub(super) async fn page(
    shared: &Shared,
    link: &Link,
    id: StreamId,
    behind: Option<EntryId>,
) -> Result<Vec<Entry>, Lost> {
    let mut command = redis::cmd("XRANGE");
    let from = behind.map_or_else(|| "-".to_owned(), |behind| format!("({}", shown(behind)));
    command.arg(shared.keys.bytes(id)).arg(from).arg("+").arg("COUNT").arg(PAGE);
    entries(link.send(&command).await?).ok_or_else(Lost::strange)
}
