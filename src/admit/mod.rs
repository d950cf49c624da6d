//! Who may come in, and how many at once.
//!
//! `limit`: a number of places that all workers share. `adapt`: one that moves. `memory`: how far memory is from its ceiling.
//! `admission`: both together, asked for each connection and each request. `stock`: what is held for peers who
//! do not take it, and who is ended for that. `page`: which web pages may ask. `clients`: who asks, by key. `quota`: how much of it is allowed. `real_client`: who asks where
//! proxies stand in front.

mod adapt;
mod admission;
mod clients;
mod limit;
mod memory;
mod page;
mod quota;
mod real_client;
mod stock;

pub use adapt::{Adaptive, FirstByte, Full, StreamLimit, Told, Unanswered};
pub use admission::{Admission, Capacity, Permit};
pub use clients::{Caller, Cells, Charge, Directory, KnownKey, ModelTold, Seen, Settled, Spending};
pub use limit::{Limit, LimitGuard};
pub use memory::{Headroom, Level, LevelSetter, MemoryMonitor, Pressure};
pub use page::{Asked, Origins, Page, page};
pub use quota::{Deciding, Limiter, Measure, Now, Remote, Sharing, Standing, State, Verdict};
pub use real_client::{is_trusted, real_client};
pub use stock::{Share, Stock};
