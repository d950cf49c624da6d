//! `trusted_proxies`: whose word about a client is believed.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::config::file::fault::Complaint;
use crate::config::key::Key;
use crate::config::key::reader::{Fields, Reader};
use crate::config::kind::many::Many;
use crate::config::kind::{Around, Kind};

pub(in crate::config) static TRUSTED_PROXIES: Key<Many<Member>> = Key::new(
    "trusted_proxies",
    Many(Member),
    "Networks of the proxies in front, such as `10.0.0.0/8`, or `unix` for every Unix socket. From \
     them, `x-forwarded-for` and `forwarded` name the client in the access log, and in what \
     `forwarded` sends upstream. From others these headers are ignored.",
);

/// Addresses by their networks, and Unix sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    networks: Vec<Network>,
    /// Peers on Unix sockets are among them.
    pub unix: bool,
}

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Networks {
    /// Of these networks.
    pub fn new(networks: Vec<Network>) -> Self {
        Self { networks, unix: false }
    }

    /// Nobody is in there.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether one of the networks has the address. IPv4 in IPv6 counts as IPv4.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(address))
    }

    pub(in crate::config) fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Self {
        let mut all = Self::default();
        for (_, member) in reader.get_many(root, &TRUSTED_PROXIES) {
            match member {
                Some(Peer::Network(network)) => all.networks.push(network),
                Some(Peer::Unix) => all.unix = true,
                None => {}
            }
        }
        all
    }
}

impl Network {
    /// `ADDRESS/BITS`, or an address alone; without bits beyond those that count.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub fn parse(text: &str) -> Result<Self, (&'static str, String)> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let like = || "write it like 10.0.0.0/8 or fd00::/8".to_owned();
        let address: IpAddr = address.parse().map_err(|_| ("is not a network", like()))?;
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => {
                let number = bits.bytes().all(|byte| byte.is_ascii_digit());
                let bits = bits.parse().ok().filter(|bits| number && *bits <= most);
                bits.ok_or_else(|| ("is not a network", format!("write 0 to {most} after the /")))?
            }
        };
        let network = Self { address: masked(address, bits), bits };
        if network.address != address {
            let hint = format!("write {}/{bits}", network.address);
            return Err(("has bits set beyond its prefix", hint));
        }
        Ok(network)
    }

    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.bits) == self.address
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

/// Who may be trusted.
pub(in crate::config) enum Peer {
    Network(Network),
    Unix,
}

/// A network, or `unix`.
pub(in crate::config) struct Member;

impl Kind for Member {
    type Value = Option<Peer>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<Peer>, Complaint> {
        if text == "unix" {
            return Ok(Some(Peer::Unix));
        }
        let network = Network::parse(text).map_err(|(what, hint)| Complaint::new(what, hint))?;
        Ok(Some(Peer::Network(network)))
    }

    fn absent(&self) -> Option<Peer> {
        None
    }

    fn name(&self) -> String {
        "network, `unix`".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^unix$|^[0-9a-fA-F:.]+(/[0-9]+)?$|\\$\\{" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_networks_whose_bits_it_begins_with() {
        let networks = ["10.0.0.0/8", "192.0.2.7", "fd00::/8", "::/0", "0.0.0.0/32"];
        let network = |text: &str| Network::parse(text).unwrap();
        let has = |of: &str, address: &str| {
            Networks::new(vec![network(of)]).contain(address.parse().unwrap())
        };
        assert!(networks.iter().all(|text| Network::parse(text).is_ok()));
        assert!(has("10.0.0.0/8", "10.255.255.255") && !has("10.0.0.0/8", "11.0.0.0"));
        assert!(has("192.0.2.7", "192.0.2.7") && !has("192.0.2.7", "192.0.2.6"));
        assert!(has("fd00::/8", "fdff::1") && !has("fd00::/8", "fe80::1"));
        assert!(has("10.0.0.0/8", "::ffff:10.0.0.1"), "IPv4 in IPv6");
        assert!(has("0.0.0.0/0", "8.8.8.8") && !has("0.0.0.0/0", "::1"), "each family by itself");
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_to_write() {
        for (text, hint) in [
            ("10.0.0.1/8", "write 10.0.0.0/8"),
            ("10.0.0.0/33", "write 0 to 32 after the /"),
            ("10.0.0.0/+8", "write 0 to 32 after the /"),
            ("10.0.0/8", "write it like 10.0.0.0/8 or fd00::/8"),
            ("proxy.example", "write it like 10.0.0.0/8 or fd00::/8"),
        ] {
            assert_eq!(Network::parse(text).unwrap_err().1, hint, "{text}");
        }
    }
}
