//! Who a client is, as far as anybody says.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Serialize, Serializer};

/// Where a request comes from: what the access log calls `client`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAddress {
    /// The other end of a connection, ours or a balancer's.
    Socket(SocketAddr),
    /// As a proxy in front names it, which knows of no port.
    Host(IpAddr),
    /// The other end of a Unix socket, which has no address.
    Unix,
}

impl ClientAddress {
    /// Without a port.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Socket(address) => Some(address.ip()),
            Self::Host(address) => Some(*address),
            Self::Unix => None,
        }
    }
}

impl From<SocketAddr> for ClientAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Socket(address)
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => write!(f, "{address}"),
            Self::Host(address) => write!(f, "{address}"),
            Self::Unix => write!(f, "unix"),
        }
    }
}

impl Serialize for ClientAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
