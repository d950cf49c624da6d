//! The sockets at both ends of the path: their options, and what is known of each one's last
//! read, last write and what still waits to be written.
//!
//! In layers, from the socket up: `stamped` stamps reads and writes; `write_stall` gives up a client that
//! takes nothing; `tls`; `read_ahead` serves the client's protocol, and notices that a client left.
//! `wire` is what a stamped socket knows, for everybody on its connection.

mod any_socket;
mod client_stream;
mod delegate;
mod listen_socket;
mod read_ahead;
mod socket;
mod stamped;
pub mod tls;
mod turn;
mod wire;
mod write_stall;

pub use any_socket::{AnySocket, ParkedSocket};
pub use client_stream::ClientStream;
pub(crate) use delegate::delegate_write;
pub use listen_socket::ListenSocket;
pub use read_ahead::{Peer, ReadAhead};
pub use socket::{SocketOptions, tune, tune_client};
pub use stamped::Stamped;
pub use turn::{Turn, come_again};
pub use wire::Wire;
pub use write_stall::WriteStall;

/// What a client's protocol is spoken on.
pub type ClientSocket = ReadAhead<ClientStream>;
