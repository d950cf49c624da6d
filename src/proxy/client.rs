//! What is known of a client by its connection.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::proto::http1::Hints;
use crate::transport::Wire;

/// What is known of a client by its connection.
pub struct Client {
    /// Where it connects from.
    pub address: SocketAddr,
    /// It came in by a listener that only this machine reaches.
    pub on_loopback: bool,
    /// Its socket's stamps.
    pub wire: Rc<Wire>,
    /// Early hints that it is to be sent, where it takes them.
    pub hints: Hints,
}
