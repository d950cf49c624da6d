//! Other processes that have this one's streams, and whose streams this one has: what is asked of whatever connects
//! them.

use std::pin::Pin;
use std::sync::Arc;

use super::id::StreamId;
use super::kept::{KeptStream, Owner};
use crate::error::Kind;

/// What comes of asking for a stream of another process.
pub type Sought = Pin<Box<dyn Future<Output = Result<Option<Arc<KeptStream>>, Kind>>>>;

/// The other processes. Nothing here may wait: what takes time happens on a thread of its own.
pub trait Elsewhere: Send + Sync {
    /// A stream begins here. Whoever tells others of it follows it by a [`Tail`](super::Tail), which holds up nobody; after
    /// [`Found::Lost`](super::Found) it has fallen behind, and others have the stream up to there only.
    fn begun(&self, stream: &Arc<KeptStream>);

    /// The stream of this id, if another process has it and it is this owner's: a mirror of it that fills as the other
    /// one does, from offset 0 or from the first that is held there.
    ///
    /// # Errors
    /// The others cannot be asked now: what the client is told.
    fn find(&self, id: StreamId, owner: &Owner) -> Sought;

    /// A mirror's owner wants its stream stopped: whoever reads its upstream is told.
    fn stop(&self, stream: &Arc<KeptStream>);
}
