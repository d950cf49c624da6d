//! Who may come in, and how many at once.
//!
//! `bound`: a number of places that all workers share. `pressure`: how far memory is from its ceiling.
//! `gate`: both together, asked for each connection and each request. `stock`: what is held for peers who
//! do not take it, and who is ended for that. `page`: which web pages may ask.

mod bound;
mod gate;
mod page;
mod pressure;
mod stock;

pub use bound::{Bound, Place};
pub use gate::{Gate, Permit, Room};
pub use page::{Asked, Page, is_on_loopback, page};
pub use pressure::{Gauge, Level, Pressure, Watch};
pub use stock::{Share, Stock};
