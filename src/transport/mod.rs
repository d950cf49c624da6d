//! The sockets at both ends of the path: their options, and what is known of each one's last
//! read, last write and what still waits to be written.

mod socket;
mod stamped;
pub mod tls;
mod turn;
mod wire;

use socket::abort_on_close;
pub use socket::{SocketOptions, tune, tune_client};
pub use stamped::{Peer, Stamped};
pub use turn::{Turn, come_again};
pub use wire::Wire;

/// What clients connect by. TLS will be a variant of the inner stream, and everything above stays.
pub type ClientSocket = Stamped<tokio::net::TcpStream>;
