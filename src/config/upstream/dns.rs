//! `upstreams.NAME.dns`: how an upstream's name leads to a connection.

use std::time::Duration;

use crate::config::key::reader::{Fields, Reader, unwritten};
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::quantity::Span;

pub(super) static DNS: Section = Section {
    name: "dns",
    shape: Shape::One,
    required: false,
    doc: "How the name leads to connections; means nothing where the URL has an address.",
    entries: &[&INTERVAL, &STAGGER],
};

static INTERVAL: Key<Span> = Key::new(
    "interval",
    // The resolver that is asked caches for the TTL, so that a new address is known within the TTL and this;
    // a second less than the five after which it is promised to be used.
    Span { default: Duration::from_secs(4) },
    "The name is resolved anew this often, less up to a tenth. The last good answer is used while that \
     fails.",
);

static STAGGER: Key<Span> = Key::new(
    "stagger",
    // RFC 8305, section 8.
    Span { default: Duration::from_millis(250) },
    "An address that is silent this long has the next tried beside it; four times as long after TCP.",
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
