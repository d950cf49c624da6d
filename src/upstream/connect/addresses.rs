//! The addresses of a name: in which order to try them, and which of them it still has. Pure.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// For so long an address is remembered that a name no longer gives. Longer than the TTLs that names
/// with changing answers have (a minute, mostly), so that each of their addresses comes up again.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// What a name resolves to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::upstream) struct Addresses {
    /// As it last resolved, in the order in which to try them.
    pub(in crate::upstream) now: Vec<SocketAddr>,
    /// Given before and known to come and go: connections to them are as good as any.
    pub(in crate::upstream) passing: Vec<SocketAddr>,
}

impl Addresses {
    /// Whether a connection to `address` may stay.
    pub(in crate::upstream) fn has(&self, address: SocketAddr) -> bool {
        self.now.contains(&address) || self.passing.contains(&address)
    }

    /// Whether both mean the same, in whatever order they are tried.
    pub(super) fn is_same_set(&self, other: &Self) -> bool {
        let within = |a: &Self, b: &Self| a.now.iter().chain(&a.passing).all(|one| b.has(*one));
        within(self, other) && within(other, self)
    }
}

/// What a name resolved to lately.
///
/// A name that moved to new addresses is left at once. But many names give a few of many addresses,
/// others each time; their connections would be replaced with every answer. What tells them apart is
/// an address that comes back: from then on, it is no longer taken for gone when it is missing, for
/// ten minutes.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Memory(HashMap<SocketAddr, Seen>);

#[derive(Debug)]
struct Seen {
    last: Instant,
    missing: bool,
    came_back: bool,
}

impl Memory {
    /// Takes what the name resolves to at `now`.
    pub(super) fn learn(&mut self, found: &[SocketAddr], now: Instant) -> Addresses {
        for (address, seen) in &mut self.0 {
            if found.contains(address) {
                seen.came_back |= seen.missing;
                (seen.missing, seen.last) = (false, now);
            } else {
                seen.missing = true;
            }
        }
        for address in found {
            let new = Seen { last: now, missing: false, came_back: false };
            self.0.entry(*address).or_insert(new);
        }
        self.0.retain(|_, seen| now < seen.last + REMEMBERED);
        let passing = self.0.iter().filter(|(_, seen)| seen.missing && seen.came_back);
        Addresses { now: interleaved(found), passing: passing.map(|(one, _)| *one).collect() }
    }
}

/// The families by turns, beginning with the first one's (RFC 8305, section 4): where one of them
/// leads nowhere, the second attempt already is of the other.
fn interleaved(found: &[SocketAddr]) -> Vec<SocketAddr> {
    let first = found.first().is_some_and(SocketAddr::is_ipv6);
    let (mut these, mut others) = (Vec::new(), Vec::new());
    for address in found {
        // getaddrinfo may give an address once for each of its sources.
        let family = if address.is_ipv6() == first { &mut these } else { &mut others };
        if !family.contains(address) {
            family.push(*address);
        }
    }
    let (mut these, mut others) = (these.into_iter(), others.into_iter());
    let mut order = Vec::with_capacity(found.len());
    loop {
        let pair = [these.next(), others.next()];
        if pair == [None, None] {
            return order;
        }
        order.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().expect("an address"), 443)).collect()
    }

    #[test]
    fn families_take_turns_and_the_resolver_says_which_begins() {
        let found = of(&["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "192.0.2.2"]);
        let order = of(&["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"]);
        assert_eq!(interleaved(&found), order);
        let found = of(&["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.1"]);
        assert_eq!(interleaved(&found), of(&["192.0.2.1", "2001:db8::1", "192.0.2.2"]));
        assert!(interleaved(&[]).is_empty());
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_address_that_a_name_no_longer_gives_is_gone_at_once() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        let [old, new] = [of(&["192.0.2.1", "192.0.2.2"]), of(&["192.0.2.2", "192.0.2.3"])];
        let before = memory.learn(&old, start);
        assert!(before.has(old[0]) && before.has(old[1]) && before.passing.is_empty());
        let after = memory.learn(&new, start + MINUTE);
        assert!(!after.has(old[0]) && after.has(new[0]) && after.has(new[1]));
        assert!(!before.is_same_set(&after));
    }

    #[test]
    fn an_address_that_came_back_once_is_not_gone_when_it_is_missing_until_it_stays_away() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        let [a, b] = [of(&["192.0.2.1"]), of(&["192.0.2.2"])];
        memory.learn(&a, start);
        assert!(!memory.learn(&b, start + MINUTE).has(a[0]), "nothing is known of it yet");
        assert!(!memory.learn(&a, start + 2 * MINUTE).has(b[0]), "nor of this one");
        let third = memory.learn(&b, start + 3 * MINUTE);
        assert!(third.has(a[0]), "it came back before");
        assert_eq!(third.now, b, "new connections go where the name leads now");
        assert!(memory.learn(&b, start + 11 * MINUTE).has(a[0]));
        assert!(!memory.learn(&b, start + 12 * MINUTE).has(a[0]), "ten minutes without it");
    }

    #[test]
    fn the_same_addresses_in_another_order_are_no_change() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        let one = memory.learn(&of(&["192.0.2.1", "192.0.2.2"]), start);
        let other = memory.learn(&of(&["192.0.2.2", "192.0.2.1"]), start);
        assert!(one.is_same_set(&other) && one != other);
    }
}
