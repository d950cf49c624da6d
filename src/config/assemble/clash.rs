//! Addresses that get in each other's way.

use std::net::{IpAddr, SocketAddr};

use crate::config::Upstream;
use crate::config::file::fault::At;
use crate::config::key::reader::{Fields, Reader};
use crate::config::keys as k;
use crate::config::upstream::Written;

/// Two listeners on one address, and the admin listener on a client's: with `SO_REUSEPORT` the
/// kernel would allow it and hand connections to either, so that metrics become public.
pub(super) fn listeners(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
    listen: &[(At, SocketAddr)],
    admin: Option<SocketAddr>,
) {
    for (nth, (at, address)) in listen.iter().enumerate() {
        if listen.iter().take(nth).any(|(_, earlier)| overlap(*earlier, *address)) {
            reader.fault(
                *at,
                k::LISTEN.name,
                format!("{address} is listened on twice"),
                "keep one",
            );
        }
    }
    let Some(admin) = admin else { return };
    if let Some((at, address)) = listen.iter().find(|(_, address)| overlap(*address, admin)) {
        let written = root.has(k::ADMIN.name);
        let at = if written { root.at(k::ADMIN.name) } else { *at };
        let what = format!("{admin} is taken by the listener {address}");
        reader.fault(at, k::ADMIN.name, what, "choose another port, or write `admin: off`");
    }
}

/// An upstream that is this proxy: each request would come back until nothing is left.
pub(super) fn loops(reader: &mut Reader<'_>, written: &Written, listen: &[SocketAddr]) {
    let (at, path) = &written.url;
    if written.meant.as_ref().is_some_and(|upstream| leads_back(upstream, listen)) {
        reader.fault(*at, &**path, "leads back to firstbyte's own listener", "name the model API");
    }
}

/// Whether an upstream is one of our own listeners, as far as its host is an address of this
/// machine's by itself.
pub(in crate::config) fn leads_back(upstream: &Upstream, listen: &[SocketAddr]) -> bool {
    let host = match upstream.host.parse::<IpAddr>() {
        Ok(address) => address,
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

/// Port 0 never overlaps: each listener gets a port of its own.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let all = a.ip().is_unspecified() || b.ip().is_unspecified();
    let one_family = a.is_ipv4() == b.is_ipv4();
    a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || (all && one_family))
}
