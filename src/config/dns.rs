//! How an upstream's name leads to a connection.

use std::time::Duration;

/// How often a name is asked for, and how its addresses are tried. Means nothing where the URL has an
/// address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dns {
    /// Between two questions, less up to a tenth.
    pub interval: Duration,
    /// A silent address has this long before the next is tried beside it (RFC 8305, section 5); four
    /// times as long once it took the TCP connection.
    pub stagger: Duration,
}
