//! The one description of every key: name, kind, bounds, default, doc. The reader knows keys by
//! it, and `docs/firstbyte.schema.json` and the table in `docs/configuration.md` are made from it.

mod web;

pub(super) use web::*;

use super::key::{Key, Section, Shape, reference};
use super::kind::address::{Address, AddressOrOff};
use super::kind::many::Many;
use super::kind::quantity::Span;
use super::kind::scalar::{Choice, Flag, Log, Workers};
use super::{ReloadOn, client, defaults as d, group, limits, route, upstream};

/// The JSON Schema (draft 2020-12) of the configuration file, as shipped in
/// `docs/firstbyte.schema.json`; ends with a line break.
pub fn json_schema() -> String {
    reference::json_schema(&ROOT)
}

/// The table of `docs/configuration.md` in Markdown, one row for each key, in the order of the
/// file; ends with a line break.
pub fn key_table() -> String {
    reference::key_table(&ROOT)
}

pub(super) static LISTEN: Key<Many<Address>> = Key::new(
    "listen",
    Many(Address { default: d::LISTEN }),
    "Where clients connect; port 0 asks the kernel for a free one.",
);
pub(super) static ADMIN: Key<AddressOrOff> = Key::new(
    "admin",
    AddressOrOff(Address { default: d::ADMIN }),
    "Where `/livez`, `/readyz`, `/metrics`, `/stats` and `POST /reload` answer.",
);
pub(super) static WORKERS: Key<Workers> =
    Key::new("workers", Workers, "Worker threads, each pinned to a core of its own.");
pub(super) static ACCESS_LOG: Key<Log> =
    Key::new("access_log", Log { default: d::ACCESS_LOG }, "One JSON object per request.");
pub(super) static VIA: Key<Flag> =
    Key::new("via", Flag { default: d::VIA }, "Add `Via` to requests and answers.");

pub(super) static RELOAD: Key<Choice<ReloadOn>> = Key::new(
    "reload",
    Choice {
        of: &[("on_demand", ReloadOn::Demand), ("on_change", ReloadOn::Change)],
        default: d::RELOAD,
    },
    "When this file is read again without a cut: at SIGHUP and `POST /reload`, or also when it, or a \
     key or certificate that it names, was changed.",
);
pub(super) static UPGRADE_TIMEOUT: Key<Span> = Key::new(
    "upgrade_timeout",
    Span { default: d::UPGRADE_TIMEOUT },
    "How long the process that SIGUSR2 starts may take to be ready; then it is ended, and the old one \
     goes on.",
);

pub(super) static ROOT: Section = Section {
    name: "",
    shape: Shape::One,
    required: true,
    doc: "The configuration of firstbyte.",
    entries: &[
        &LISTEN,
        &ADMIN,
        &ADMIN_TOKEN,
        &ALLOWED_HOSTS,
        &ALLOWED_ORIGINS,
        &WORKERS,
        &ACCESS_LOG,
        &VIA,
        &RELOAD,
        &UPGRADE_TIMEOUT,
        &upstream::UPSTREAMS,
        &group::GROUPS,
        &route::ROUTES,
        &client::CLIENT,
        &limits::LIMITS,
    ],
};
