//! The sockets at both ends of the path: their options, and what is known of each one's last
//! read, last write and what still waits to be written.

mod io;
mod socket;
mod stamps;
mod turn;

pub use io::{Peer, Stamped};
use socket::abort_on_close;
pub use socket::{SocketOptions, tune, tune_client};
pub use stamps::Wire;
pub use turn::{Turn, come_again};

/// What clients connect by. TLS will be a variant of the inner stream, and everything above stays.
pub type ClientSocket = Stamped<tokio::net::TcpStream>;
