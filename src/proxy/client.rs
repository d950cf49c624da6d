//! What is known of a client by its connection.

use std::rc::Rc;

use http::HeaderMap;

use crate::admit::{self, KnownKey};
use crate::config::Networks;
use crate::proto::http1::Hints;
use crate::record::ClientAddress;
use crate::relay::head::Came;
use crate::transport::Wire;

/// What is known of a client by its connection.
pub struct Client {
    /// Where it connects from: the other end of the socket, or who its PROXY protocol header names.
    pub address: ClientAddress,
    /// It came in by a listener that only this machine reaches.
    pub on_loopback: bool,
    /// It speaks TLS.
    pub is_tls: bool,
    /// The names in the certificate that it proved itself by, as configuration writes them.
    pub certificates: Vec<String>,
    /// The key that its last request brought.
    pub known: KnownKey,
    /// Its socket's stamps.
    pub wire: Rc<Wire>,
    /// Early hints that it is to be sent, where it takes them.
    pub hints: Hints,
}

impl Client {
    /// Whose request this is: the client's own, unless it is a proxy whose word counts.
    pub(super) fn of_request(&self, headers: &HeaderMap, trusted: &Networks) -> ClientAddress {
        // Nearly always there is none.
        if trusted.is_empty() {
            self.address
        } else {
            admit::real_client(self.address, headers, trusted)
        }
    }

    /// How a request came, for an upstream that is told.
    pub(super) fn came(&self, headers: &HeaderMap, trusted: &Networks) -> Came {
        Came {
            client: self.of_request(headers, trusted),
            peer: self.address,
            by_trusted: admit::is_trusted(self.address, trusted),
            is_tls: self.is_tls,
        }
    }
}
