//! Redis as this room speaks with it: connections, names of keys, and what is replied.

mod keys;
mod link;
mod reply;

pub(super) use keys::Keys;
pub(super) use link::{Link, Lost};
pub(super) use reply::{Entry, EntryId, by_key, entries, fields, id as entry_id, shown, text};
