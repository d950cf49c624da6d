//! Answers that are kept while they come and for a while after, so that a client that lost its connection reads on
//! where it was, and others read along.
//!
//! One pump reads an upstream's answer into a `Log` and waits for nobody; any number of `LogReader`s read it, each
//! from its own offset, on any worker. The `Registry` has all streams of the process by their ids and forgets them in
//! time. A `Cursor` is a byte offset, or for readers of events the id of one: `ids` puts those in, and `scan` knows
//! where events end. `Elsewhere` is what other processes have.

mod cursor;
mod elsewhere;
mod id;
mod ids;
mod kept;
mod log;
mod reader;
mod registry;
mod scan;
#[cfg(test)]
mod tests;

pub use cursor::{Cursor, Denied, LAST_EVENT_ID};
pub use elsewhere::{Elsewhere, Sought};
pub use id::StreamId;
pub use kept::{KeptHead, KeptStream, NewStream, Owner};
pub use log::{End, Extent, Found, Log};
pub use reader::{LogReader, Tail, reached};
pub use registry::Registry;
