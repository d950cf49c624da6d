//! `upstreams.NAME.dns`: how an upstream's name leads to a connection.

use std::time::Duration;

use crate::config::key::reader::{Fields, Reader, unwritten};
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::quantity::Span;

pub(super) static DNS: Section = Section {
    name: "dns",
    shape: Shape::One,
    required: false,
    doc: "Name resolution. It has no effect if the URL contains an IP address.",
    entries: &[&INTERVAL, &STAGGER],
};

static INTERVAL: Key<Span> = Key::new(
    "interval",
    // The resolver that is asked caches for the TTL, so that a new address is known within the TTL and this;
    // a second less than the five after which it is promised to be used.
    Span { default: Duration::from_secs(4) },
    "How often the name is resolved, less up to a tenth at random. While lookups fail, the last \
     known addresses are used.",
);

static STAGGER: Key<Span> = Key::new(
    "stagger",
    // RFC 8305, section 8.
    Span { default: Duration::from_millis(250) },
    "Happy Eyeballs (RFC 8305): if an address has not connected within this time, the next one is \
     tried in parallel; also if TLS and SETTINGS then take four times this time.",
);

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

impl Dns {
    pub(super) fn read(reader: &mut Reader<'_>, upstream: &Fields<'_>) -> Self {
        let fields = reader.section(upstream, &DNS);
        Self { interval: reader.get(&fields, &INTERVAL), stagger: reader.get(&fields, &STAGGER) }
    }
}

impl Default for Dns {
    fn default() -> Self {
        unwritten(Self::read)
    }
}
