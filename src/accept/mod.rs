//! Client connections: listened for, handed to the least loaded worker, recognised by their first
//! bytes, served, drained.

mod connection;
mod drain;
mod http1;
mod http2;
mod listener;
mod patience;
mod preface;
mod refusal;
mod sending;

pub use connection::{Client, Door};
pub use drain::Drain;
pub use listener::{Inbox, Loads, bind, listen};
