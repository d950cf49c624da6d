//! Listening sockets that outlive a process: given by systemd, or by the process that ran before, and given
//! on to the next; and whose the store is meanwhile.
//!
//! A listening socket is its queue of connections. Whoever holds a descriptor of it can take from the queue,
//! and the queue lives as long as one is held: so nothing is refused between the last accept of the old
//! process and the first of the new one.

mod channel;
mod inherited;
mod listening;
mod successor;

pub use channel::Predecessor;
pub use inherited::{HandoverError, Inherited, Opening};
pub use listening::Listening;
pub use successor::{GaveUp, Handed, HandedStore, Invocation, Successor};
