//! `admin`: where it is, and what addresses get in each other's way.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use super::door::Listener;
use super::door::address::{Address, ListenAddress};
use super::file::fault::{At, Complaint};
use super::key::Key;
use super::key::reader::{Fields, Reader};
use super::kind::{Around, Kind};
use super::overlap;
use super::upstream::{Upstream, Written};

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
    listen: &[(At, Listener)],
    admin: Option<SocketAddr>,
) {
    let addresses: Vec<_> =
        listen.iter().filter_map(|(at, one)| Some((*at, one.address.ip()?))).collect();
    let (places, addresses): (Vec<_>, Vec<_>) = addresses.into_iter().unzip();
    for (nth, clash) in overlap::among(&addresses) {
        reader.fault(places[nth], "listen", clash.what, clash.hint);
    }
    for (nth, (at, listener)) in listen.iter().enumerate() {
        let address = &listener.address;
        let twice = |(_, earlier): &(At, Listener)| earlier.address == *address;
        if address.ip().is_none() && listen.iter().take(nth).any(twice) {
            let what = format!("{address} is listed twice");
            reader.fault(*at, "listen", what, "remove one of them");
        }
    }
    let Some(admin) = admin else { return };
    if let Some((nth, clash)) = overlap::with_admin(&addresses, admin) {
        let written = root.has(ADMIN.name);
        let at = if written { root.at(ADMIN.name) } else { places[nth] };
        reader.fault(at, ADMIN.name, clash.what, clash.hint);
    }
}

/// An upstream that is this proxy: each request would come back until nothing is left.
pub(super) fn loops(reader: &mut Reader<'_>, written: &Written, listen: &[Listener]) {
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
pub(super) fn leads_back(upstream: &Upstream, listen: &[Listener]) -> bool {
    if let Some(path) = &upstream.socket {
        let own = |one: &Listener| matches!(&one.address, ListenAddress::Unix(own) if own == path);
        return listen.iter().any(own);
    }
    let mut listen = listen.iter().filter_map(|one| one.address.ip());
    let host = match upstream.host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical(),
        Err(_) if upstream.host.eq_ignore_ascii_case("localhost") => {
            return listen.any(|address| {
                let here = address.ip().is_loopback() || address.ip().is_unspecified();
                address.port() == upstream.port && here
            });
        }
        Err(_) => return false,
    };
    listen.any(|address| {
        let everywhere = address.ip().is_unspecified() && host.is_loopback();
        let here = host.is_unspecified() && address.ip().is_loopback();
        address.port() == upstream.port && (address.ip() == host || everywhere || here)
    })
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
