//! Who may come in, and how many at once.
//!
//! `bound`: a number of places that all workers share. `pressure`: how far memory is from its ceiling.
//! `gate`: both together, asked for each connection and each request. `page`: which web pages may ask.

mod bound;
mod gate;
mod page;
mod pressure;

pub use bound::{Bound, Place};
pub use gate::{Gate, Permit, Room};
pub use page::{Page, is_on_loopback, page};
pub use pressure::{Gauge, Level, Pressure, Watch};
