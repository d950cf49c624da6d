//! Warm connections to the upstreams, and the right to one stream on one of them.
//!
//! One `Pool` per worker and upstream. A `Lease` is the right to one stream; it is given back
//! when dropped, and an unfinished stream is reset with it.

mod connect;
mod greeting;
mod head_scan;
mod head_size;
mod health;
mod health_tracker;
mod http1;
mod http2;
mod huffman;
mod interim;
mod keepalive;
mod parcel;
mod pool;
mod read_after_reset;
mod source;
mod stream;

pub use connect::resolver::{ResolvedName, Resolver};
pub use head_scan::{HeadScan, Marks};
pub use head_size::{HeadLimit, HeadSize};
pub use health_tracker::{AnswerGuard, HealthTracker};
pub use pool::Pool;
pub use pool::handle::PoolHandle;
pub use pool::lease::Lease;
pub use source::RecvBody;
pub use stream::{Broken, Chunk, ResponseBody, ResponseFuture, SendBody, Stream};
