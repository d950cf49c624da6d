//! Who may come in, and how many at once.
//!
//! `limit`: a number of places that all workers share. `memory`: how far memory is from its ceiling.
//! `admission`: both together, asked for each connection and each request. `stock`: what is held for peers who
//! do not take it, and who is ended for that. `page`: which web pages may ask. `real_client`: who asks where
//! proxies stand in front.

mod admission;
mod limit;
mod memory;
mod page;
mod real_client;
mod stock;

pub use admission::{Admission, Capacity, Permit};
pub use limit::{Limit, LimitGuard};
pub use memory::{Headroom, Level, LevelSetter, MemoryMonitor, Pressure};
pub use page::{Asked, Origins, Page, page};
pub use real_client::{is_trusted, real_client};
pub use stock::{Share, Stock};
