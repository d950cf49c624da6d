//! The keys of an upstream's name.

use crate::config::defaults as d;
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::quantity::Span;

pub(in crate::config) static DNS_INTERVAL: Key<Span> = Key::new(
    "interval",
    Span { default: d::DNS_INTERVAL },
    "The name is resolved anew this often, less up to a tenth. The last good answer is used while that \
     fails.",
);
pub(in crate::config) static DNS_STAGGER: Key<Span> = Key::new(
    "stagger",
    Span { default: d::DNS_STAGGER },
    "An address that is silent this long has the next tried beside it; four times as long after TCP.",
);

pub(in crate::config) static DNS: Section = Section {
    name: "dns",
    shape: Shape::One,
    required: false,
    doc: "How the name leads to connections; means nothing where the URL has an address.",
    entries: &[&DNS_INTERVAL, &DNS_STAGGER],
};
