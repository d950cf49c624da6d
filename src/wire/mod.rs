//! The sockets at both ends of the path: their options, and what is known of each one's last
//! read, last write and what still waits to be written.

mod io;
mod socket;
mod stamps;

pub use io::{Peer, Stamped};
pub use socket::{SocketOptions, tune};
pub use stamps::Wire;
