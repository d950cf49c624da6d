//! Listeners' addresses: one, a list, or none.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use super::{Around, Kind};
use crate::config::file::fault::Complaint;

/// IP address and port of a listener.
pub(in crate::config) struct Address {
    pub(in crate::config) default: SocketAddr,
}

impl Kind for Address {
    type Value = SocketAddr;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<SocketAddr, Complaint> {
        text.parse().map_err(|_| {
            let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
            let likely = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.unwrap_or(8080));
            let hint = if text.starts_with([':', '*']) {
                let all = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), likely.port());
                format!("write {all} for all interfaces, {likely} for this machine only")
            } else {
                format!("write it like {likely}")
            };
            Complaint::new("is not an IP address with a port", hint)
        })
    }

    fn absent(&self) -> SocketAddr {
        self.default
    }

    fn name(&self) -> String {
        "address".into()
    }

    fn default_text(&self) -> Option<String> {
        Some(self.default.to_string())
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": ":[0-9]+$|\\$\\{" })
    }
}

/// A listener's address, or `off`.
pub(in crate::config) struct AddressOrOff(pub(in crate::config) Address);

impl Kind for AddressOrOff {
    type Value = Option<SocketAddr>;

    fn read(&self, text: &str, around: &Around<'_>) -> Result<Option<SocketAddr>, Complaint> {
        match text {
            "off" => Ok(None),
            "false" | "no" | "none" => Err(Complaint::new("is not an address", "write off")),
            address => self.0.read(address, around).map(Some),
        }
    }

    fn absent(&self) -> Option<SocketAddr> {
        Some(self.0.absent())
    }

    fn name(&self) -> String {
        "address, or `off`".into()
    }

    fn default_text(&self) -> Option<String> {
        self.0.default_text()
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^off$|:[0-9]+$|\\$\\{" })
    }
}
