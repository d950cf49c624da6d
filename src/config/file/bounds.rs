//! How much a configuration may be: a reload reads it in the process that serves, and the file may be
//! made by a machine. Far above what anybody writes, and low enough that memory and time stay small.

/// Bytes of the file.
pub(in crate::config) const LARGEST: usize = 4 * 1024 * 1024;
/// Nesting; the deepest key is four down.
pub(super) const DEEPEST: usize = 16;
/// Keys and values, each alias being as many as what it stands for.
pub(super) const MOST_NODES: usize = 400_000;
/// Bytes of all keys and values, counted the same way.
pub(super) const MOST_BYTES: usize = 2 * LARGEST;
/// Bytes of one value, also after its variables were filled in.
pub(in crate::config) const LONGEST_VALUE: usize = 64 * 1024;
/// Bytes of one key; as many characters YAML allows before the colon.
pub(in crate::config) const LONGEST_KEY: usize = 1024;
/// Upstreams, groups, routes, or a group's members: some of the rules look at each beside each.
pub(in crate::config) const MOST_SECTIONS: usize = 4096;
/// Values of a key that may have several.
pub(in crate::config) const MOST_ITEMS: usize = 256;
/// Faults that are told, and for which a way out is looked for.
pub(in crate::config) const MOST_FAULTS: usize = 100;
/// Names that are compared to one that is not known, or listed beside it.
pub(in crate::config) const MOST_CANDIDATES: usize = 256;
