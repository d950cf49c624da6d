//! Client connections: listened for, handed to the least loaded worker, recognised by their first
//! bytes, served, drained.

mod acceptor;
mod bind;
mod closing;
mod connection;
mod detect;
mod door;
mod drain;
mod entry;
mod head_timeout;
mod http1;
mod http2;
mod idle;
mod listener;
mod loads;
mod refusal;

pub use acceptor::Acceptor;
pub use bind::bind;
pub use door::Doors;
pub use drain::{Drain, Stage};
pub use idle::Idle;
pub use listener::{help, listen};
pub use loads::{Inbox, Loads};
