//! `<<:` merges one or more sections into another (YAML 1.1, the merge key): its own keys come first, then
//! those of the section that is named first.

use std::collections::HashSet;

use super::node::{Data, Flaw, Name, Node};

/// The key that merges.
pub(super) const MERGE: &str = "<<";

/// A mapping's entries with those that it merges behind its own. Nothing is copied: what an alias stands for
/// was copied, and counted, when it was read.
pub(super) fn merged(mut entries: Vec<(Name, Node)>, flaws: &mut Vec<Flaw>) -> Vec<(Name, Node)> {
    let Some(at) = entries.iter().position(|(name, _)| name.text == MERGE) else { return entries };
    let (name, value) = entries.remove(at);
    let sections = match value.data {
        Data::List(items) => items,
        _ => vec![value],
    };
    let mut known: HashSet<String> = entries.iter().map(|(name, _)| name.text.clone()).collect();
    for section in sections {
        let Data::Map(more) = section.data else {
            let what = "`<<` merges something that is not a section";
            let hint = "write `<<: *NAME`, and `&NAME` before the section that is meant";
            flaws.push((name.at, what.into(), hint.into()));
            continue;
        };
        entries.extend(more.into_iter().filter(|(name, _)| known.insert(name.text.clone())));
    }
    entries
}
