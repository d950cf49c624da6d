//! `listen` and `admin`: where connections are taken, and what addresses get in each other's way.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use super::file::fault::{At, Complaint};
use super::key::Key;
use super::key::reader::{Fields, Reader};
use super::kind::many::Many;
use super::kind::{Around, Kind};
use super::overlap;
use super::upstream::{Upstream, Written};

pub(super) static LISTEN: Key<Many<Address>> = Key::new(
    "listen",
    // Loopback: a proxy that holds a key must not be reachable from elsewhere unless asked.
    Many(Address { default: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080) }),
    "Addresses that clients connect to. Port 0 lets the kernel choose a free port.",
);

pub(super) static ADMIN: Key<AddressOrOff> = Key::new(
    "admin",
    // Loopback, and the port that Prometheus users expect.
    AddressOrOff(Address { default: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090) }),
    "Address that serves `/livez`, `/readyz`, `/metrics`, `/stats` and `POST /reload`.",
);

/// Listeners that get in each other's way, and in the admin listener's.
pub(super) fn clashes(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
    listen: &[(At, SocketAddr)],
    admin: Option<SocketAddr>,
) {
    let addresses: Vec<_> = listen.iter().map(|(_, address)| *address).collect();
    for (nth, clash) in overlap::among(&addresses) {
        reader.fault(listen[nth].0, LISTEN.name, clash.what, clash.hint);
    }
    let Some(admin) = admin else { return };
    if let Some((nth, clash)) = overlap::with_admin(&addresses, admin) {
        let written = root.has(ADMIN.name);
        let at = if written { root.at(ADMIN.name) } else { listen[nth].0 };
        reader.fault(at, ADMIN.name, clash.what, clash.hint);
    }
}

/// An upstream that is this proxy: each request would come back until nothing is left.
pub(super) fn loops(reader: &mut Reader<'_>, written: &Written, listen: &[SocketAddr]) {
    let (at, path) = &written.url;
    if written.meant.as_ref().is_some_and(|upstream| leads_back(upstream, listen)) {
        reader.fault(
            *at,
            &**path,
            "points to firstbyte's own listener",
            "write the URL of the model API",
        );
    }
}

/// Whether an upstream is one of our own listeners, as far as its host is an address of this
/// machine's by itself.
pub(super) fn leads_back(upstream: &Upstream, listen: &[SocketAddr]) -> bool {
    if upstream.socket.is_some() {
        return false;
    }
    let host = match upstream.host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical(),
        Err(_) if upstream.host.eq_ignore_ascii_case("localhost") => {
            return listen.iter().any(|address| {
                let here = address.ip().is_loopback() || address.ip().is_unspecified();
                address.port() == upstream.port && here
            });
        }
        Err(_) => return false,
    };
    listen.iter().any(|address| {
        let everywhere = address.ip().is_unspecified() && host.is_loopback();
        let here = host.is_unspecified() && address.ip().is_loopback();
        address.port() == upstream.port && (address.ip() == host || everywhere || here)
    })
}

/// IP address and port of a listener.
pub(super) struct Address {
    default: SocketAddr,
}

impl Kind for Address {
    type Value = SocketAddr;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<SocketAddr, Complaint> {
        text.parse().map_err(|_| {
            let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
            let likely = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.unwrap_or(8080));
            let hint = if text.starts_with([':', '*']) {
                let all = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), likely.port());
                format!("write {all} to listen on all interfaces, {likely} for this machine only")
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
pub(super) struct AddressOrOff(Address);

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
