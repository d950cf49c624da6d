//! Warm connections to the upstreams, and the right to one stream on one of them.
//!
//! One `Pool` per worker and upstream. A `Lease` is the right to one stream; it is given back
//! when dropped, and an unfinished stream is reset with it.

mod connect;
mod connection;
mod health;
mod keepalive;
mod outage;
mod pool;
mod recv;
mod socket;
mod stream;

pub use connect::resolver::{ResolvedName, Resolver};
pub use health::tracker::{AnswerGuard, HealthTracker};
pub use outage::Outage;
pub use pool::Pool;
pub use pool::handle::PoolHandle;
pub use pool::lease::{Lease, Stream};
pub use pool::opening::Trial;
pub use recv::RecvBody;
pub use stream::head_scan::HeadScan;
pub use stream::head_size::{HeadLimit, HeadSize};
pub use stream::marks::Marks;
pub use stream::{Broken, Chunk, Failure, ResponseBody, ResponseFuture, SendBody};
