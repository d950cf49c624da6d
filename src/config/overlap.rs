//! Which listeners' addresses get in each other's way, as Linux has it.
//!
//! `[::]` takes IPv4 too, unless `0.0.0.0` has the same port: then each takes its own family. Two listeners on
//! one address, and the admin listener on a client's, must not be: with `SO_REUSEPORT` the kernel would allow it
//! and hand connections to either, so that metrics become public.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An address that another one takes already, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Clash {
    pub(super) what: String,
    pub(super) hint: String,
}

/// Of each listener that takes what an earlier one does: its number.
pub(super) fn among(listen: &[SocketAddr]) -> Vec<(usize, Clash)> {
    let mut all = Vec::new();
    for (nth, address) in listen.iter().enumerate() {
        let before = listen.iter().take(nth);
        if let Some(earlier) =
            before.clone().find(|earlier| overlap((**earlier, listen), (*address, listen)))
        {
            let clash = if earlier == address {
                let what = format!("{address} is listed twice");
                Clash { what, hint: "remove one of them".into() }
            } else {
                clash(*address, *earlier, "remove one of them, or choose another port")
            };
            all.push((nth, clash));
        }
    }
    all
}

/// Of the admin listener the listener whose connections it would take, or lose its own to.
pub(super) fn with_admin(listen: &[SocketAddr], admin: SocketAddr) -> Option<(usize, Clash)> {
    let nth = listen.iter().position(|address| overlap((*address, listen), (admin, &[])))?;
    let hint = "choose another port, or write `admin: off`";
    Some((nth, clash(admin, listen[nth], hint)))
}

/// Whether a listener takes IPv6 only: the other family has one of its own.
pub fn takes_only_ipv6(address: SocketAddr, listen: &[SocketAddr]) -> bool {
    let ipv4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
    address.is_ipv6() && address.ip().is_unspecified() && listen.contains(&ipv4)
}

fn clash(address: SocketAddr, other: SocketAddr, hint: &str) -> Clash {
    let families = if is_both(other) && address.ip().to_canonical().is_ipv4() {
        ", which takes IPv4 too"
    } else if is_both(address) && other.ip().to_canonical().is_ipv4() {
        ": [::] takes IPv4 too"
    } else {
        ""
    };
    let what = format!("{address} is already used by the listener {other}{families}");
    Clash { what, hint: hint.into() }
}

fn is_both(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

/// An address, and those that its listener shares the families with.
type Among<'a> = (SocketAddr, &'a [SocketAddr]);

/// Port 0 never overlaps: each listener gets a port of its own.
fn overlap(a: Among<'_>, b: Among<'_>) -> bool {
    let port = a.0.port();
    port == b.0.port() && port != 0 && (takes(a, b.0.ip()) || takes(b, a.0.ip()))
}

/// Whether connections to `ip` come to this listener.
fn takes((at, listen): Among<'_>, ip: IpAddr) -> bool {
    // An IPv4 address written as IPv6's is that address to the kernel.
    let (here, ip) = (at.ip().to_canonical(), ip.to_canonical());
    if !here.is_unspecified() {
        return here == ip;
    }
    here.is_ipv4() == ip.is_ipv4() || (here.is_ipv6() && !takes_only_ipv6(at, listen))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_takes_the_other_s_connections_is_found_in_and_across_families() {
        for (one, other) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("[::]:80", "127.0.0.1:80"),
            ("[::]:80", "10.0.0.7:80"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("[::ffff:127.0.0.1]:80", "0.0.0.0:80"),
            ("[::]:80", "[::ffff:10.0.0.7]:80"),
        ] {
            for pair in [[one, other], [other, one]] {
                let found = among(&addresses(&pair));
                assert_eq!(found.iter().map(|(nth, _)| *nth).collect::<Vec<_>>(), [1], "{pair:?}");
            }
        }
        for pair in [
            ["127.0.0.1:80", "127.0.0.1:81"],
            ["127.0.0.1:80", "127.0.0.2:80"],
            ["0.0.0.0:80", "[::1]:80"],
            ["0.0.0.0:0", "0.0.0.0:0"],
            ["127.0.0.1:80", "[::1]:80"],
        ] {
            assert_eq!(among(&addresses(&pair)), [], "{pair:?}");
        }
    }

    #[test]
    fn both_wildcards_go_together_and_each_takes_its_own_family() {
        for pair in [["0.0.0.0:80", "[::]:80"], ["[::]:80", "0.0.0.0:80"]] {
            let listen = addresses(&pair);
            assert_eq!(among(&listen), []);
            let only: Vec<_> =
                listen.iter().filter(|one| takes_only_ipv6(**one, &listen)).collect();
            assert_eq!(only, [&"[::]:80".parse().unwrap()]);
        }
        let listen = addresses(&["[::]:80", "0.0.0.0:81"]);
        assert!(!takes_only_ipv6(listen[0], &listen), "another port's is no other family's");
        let three = addresses(&["0.0.0.0:80", "[::]:80", "127.0.0.1:80"]);
        assert_eq!(among(&three)[0].0, 2, "the first takes it");
    }

    #[test]
    fn the_admin_listener_is_kept_apart_across_families() {
        for (listen, admin) in [
            ("[::]:80", "127.0.0.1:80"),
            ("127.0.0.1:80", "[::]:80"),
            ("0.0.0.0:80", "[::]:80"),
            ("[::]:80", "0.0.0.0:80"),
        ] {
            let found = with_admin(&addresses(&[listen]), admin.parse().unwrap());
            assert!(found.is_some_and(|(nth, _)| nth == 0), "{listen} {admin}");
        }
        let both = addresses(&["0.0.0.0:80", "[::]:80"]);
        let (nth, clash) = with_admin(&both, "[::1]:80".parse().unwrap()).unwrap();
        assert_eq!((nth, &*clash.what), (1, "[::1]:80 is already used by the listener [::]:80"));
        assert_eq!(with_admin(&both, "[::1]:81".parse().unwrap()), None);
    }
}
