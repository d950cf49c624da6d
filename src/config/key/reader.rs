//! Reads keys out of the tree. A fault never ends the reading: it is noted, a default stands in,
//! and the configuration is thrown away at the end.

use super::reference::rows;
use super::{Key, Row, Section};
use crate::config::file::bounds::{MOST_FAULTS, MOST_ITEMS, MOST_SECTIONS};
use crate::config::file::env::fill;
use crate::config::file::fault::{At, Complaint, Fault, Place, nearest};
use crate::config::file::yaml::{Data, Flaw, Name, Node};
use crate::config::kind::many::Many;
use crate::config::kind::{Around, Kind};

/// Reads values and gathers faults.
pub(in crate::config) struct Reader<'a> {
    file: String,
    around: Around<'a>,
    /// Where keys belong that stand in the wrong place.
    root: &'static Section,
    /// The first [`MOST_FAULTS`] of them.
    faults: Vec<Fault>,
    count: usize,
}

/// The keys of one section as they stand in the file.
pub(in crate::config) struct Fields<'n> {
    /// Where the section begins.
    pub(in crate::config) at: At,
    /// The section's dotted path; empty at the root.
    pub(in crate::config) path: String,
    entries: &'n [(Name, Node)],
}

impl<'n> Fields<'n> {
    fn find(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
    }

    /// Whether the key is written.
    pub(in crate::config) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Where the key's value stands, or the section where it is not written.
    pub(in crate::config) fn at(&self, name: &str) -> At {
        self.find(name).map_or(self.at, |node| node.at)
    }

    /// The dotted path of one of its keys.
    pub(in crate::config) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl<'a> Reader<'a> {
    pub(in crate::config) fn new(file: String, around: Around<'a>, root: &'static Section) -> Self {
        Self { file, around, root, faults: Vec::new(), count: 0 }
    }

    /// Those that were kept, and if there are more, how many.
    pub(in crate::config) fn into_faults(mut self) -> Vec<Fault> {
        if self.count > self.faults.len() {
            let what = format!("has {} faults; these are {MOST_FAULTS} of them", self.count);
            let place = Place::File(self.file);
            self.faults.push(Fault { place, key: String::new(), what, hint: String::new() });
        }
        self.faults
    }

    /// How many faults there are, so that one fault does not lead to a second about the same.
    pub(in crate::config) fn count(&self) -> usize {
        self.count
    }

    /// Counts one more fault; false if no more are kept. To be asked where a way out costs something to
    /// find.
    fn counts(&mut self) -> bool {
        self.count += 1;
        self.faults.len() < MOST_FAULTS
    }

    /// Notes a fault at a place.
    pub(in crate::config) fn fault(
        &mut self,
        at: At,
        key: impl Into<String>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        if self.counts() {
            self.keep(at, key, what, hint);
        }
    }

    /// The same where the way out costs something to find.
    pub(in crate::config) fn fault_with(
        &mut self,
        at: At,
        key: impl Into<String>,
        what: impl Into<String>,
        hint: impl FnOnce() -> String,
    ) {
        if self.counts() {
            self.keep(at, key, what, hint());
        }
    }

    fn keep(
        &mut self,
        at: At,
        key: impl Into<String>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let place = Place::In(self.file.clone(), at);
        self.faults.push(Fault { place, key: key.into(), what: what.into(), hint: hint.into() });
    }

    /// As many as may be; of more, that they are too many.
    fn first<'n, T>(&mut self, all: &'n [T], most: usize, at: At, path: &str) -> &'n [T] {
        if all.len() > most {
            self.fault(at, path, format!("has more than {most} entries"), "keep fewer");
        }
        &all[..all.len().min(most)]
    }

    /// Notes what was wrong with the text itself.
    pub(in crate::config) fn flaws(&mut self, flaws: Vec<Flaw>) {
        for (at, what, hint) in flaws {
            self.fault(at, "", what, hint);
        }
    }

    /// The value of a key, or its default.
    pub(in crate::config) fn get<K: Kind>(
        &mut self,
        fields: &Fields<'_>,
        key: &Key<K>,
    ) -> K::Value {
        let read = fields.find(key.name).and_then(|node| {
            self.scalar(node, &fields.path_of(key.name), |text, around| key.kind.read(text, around))
        });
        read.unwrap_or_else(|| key.kind.absent())
    }

    /// The values of a key that may be one or a list, each with its place.
    pub(in crate::config) fn get_many<K: Kind>(
        &mut self,
        fields: &Fields<'_>,
        key: &Key<Many<K>>,
    ) -> Vec<(At, K::Value)> {
        let item = &key.kind.0;
        let path = fields.path_of(key.name);
        let Some(node) = fields.find(key.name) else { return vec![(fields.at, item.absent())] };
        let items = match &node.data {
            Data::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        if items.is_empty() {
            self.fault(node.at, &*path, "is an empty list", "write at least one item");
        }
        let mut values = Vec::with_capacity(items.len());
        for node in self.first(items, MOST_ITEMS, node.at, &path) {
            let value = self.scalar(node, &path, |text, around| item.read(text, around));
            values.extend(value.map(|value| (node.at, value)));
        }
        values
    }

    fn scalar<T>(
        &mut self,
        node: &Node,
        path: &str,
        read: impl FnOnce(&str, &Around<'_>) -> Result<T, Complaint>,
    ) -> Option<T> {
        let text = match &node.data {
            Data::Text(text) => text,
            Data::Nothing => {
                self.fault(node.at, path, "has no value", "write one, or remove the line");
                return None;
            }
            Data::List(_) | Data::Map(_) => {
                self.fault(node.at, path, "is not a single value", "write it on the key's line");
                return None;
            }
        };
        let read = fill(text, self.around.env).and_then(|filled| read(&filled, &self.around));
        read.map_err(|complaint| self.complain(node.at, path, text, complaint)).ok()
    }

    /// Quotes the value as written, never as filled in: a variable may hold a secret.
    fn complain(&mut self, at: At, path: &str, text: &str, complaint: Complaint) {
        let Complaint { what, hint, quotable } = complaint;
        let subject = if quotable { quoted(text) } else { "the value".to_owned() };
        let what = format!("{subject} {what}");
        self.fault(at, path, what, hint);
    }

    /// A section that stands once; one that is not written is empty.
    pub(in crate::config) fn section<'n>(
        &mut self,
        fields: &Fields<'n>,
        section: &Section,
    ) -> Fields<'n> {
        let path = fields.path_of(section.name);
        let written = fields.find(section.name);
        let open = written.and_then(|node| self.open(section, node, path.clone()));
        open.unwrap_or(Fields { at: fields.at(section.name), path, entries: &[] })
    }

    /// Sections under names of the operator's.
    pub(in crate::config) fn named<'n>(
        &mut self,
        fields: &Fields<'n>,
        section: &Section,
    ) -> Vec<(&'n Name, Fields<'n>)> {
        let path = fields.path_of(section.name);
        let Some(node) = fields.find(section.name) else { return Vec::new() };
        let Data::Map(entries) = &node.data else {
            self.fault(
                node.at,
                path,
                "names nothing",
                "write a name and a colon, its keys beneath",
            );
            return Vec::new();
        };
        let entries = self.first(entries, MOST_SECTIONS, node.at, &path);
        let mut sections = Vec::with_capacity(entries.len());
        for (name, node) in entries {
            let open = self.open(section, node, format!("{path}.{}", name.text));
            sections.extend(open.map(|fields| (name, fields)));
        }
        sections
    }

    /// Sections as items of a list.
    pub(in crate::config) fn list<'n>(
        &mut self,
        fields: &Fields<'n>,
        section: &Section,
    ) -> Vec<Fields<'n>> {
        let path = fields.path_of(section.name);
        let Some(node) = fields.find(section.name) else { return Vec::new() };
        let items = match &node.data {
            Data::List(items) if !items.is_empty() => items,
            _ => {
                self.fault(node.at, path, "is not a list", "begin each item with `- `");
                return Vec::new();
            }
        };
        let items = self.first(items, MOST_SECTIONS, node.at, &path);
        let mut sections = Vec::with_capacity(items.len());
        for (nth, node) in items.iter().enumerate() {
            sections.extend(self.open(section, node, format!("{path}[{nth}]")));
        }
        sections
    }

    /// Looks at a section's keys: unknown ones and missing ones are faults.
    pub(in crate::config) fn open<'n>(
        &mut self,
        section: &Section,
        node: &'n Node,
        path: String,
    ) -> Option<Fields<'n>> {
        let entries: &[(Name, Node)] = match &node.data {
            Data::Map(entries) => entries,
            Data::Nothing => &[],
            Data::Text(_) | Data::List(_) => {
                let known = names(section).join(", ");
                self.fault(node.at, path, "is not a section", format!("write its keys: {known}"));
                return None;
            }
        };
        let fields = Fields { at: node.at, path, entries };
        for (name, _) in entries {
            let is_known = section.entries.iter().any(|entry| entry.name() == name.text);
            if !is_known && self.counts() {
                let what = format!("{} is not a key", quoted(&name.text));
                self.keep(name.at, &*fields.path, what, instead_of(&name.text, section, self.root));
            }
        }
        for entry in section.entries.iter().filter(|entry| entry.required()) {
            if !fields.has(entry.name()) {
                let what = format!("`{}` is missing", entry.name());
                self.fault(fields.at, &*fields.path, what, "it has no default");
            }
        }
        Some(fields)
    }
}

/// A value in quotes; of a long one the beginning.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let beginning: String = text.chars().take(LONGEST).collect();
    let rest = if beginning.len() < text.len() { "…" } else { "" };
    format!("{beginning:?}{rest}")
}

fn names(section: &Section) -> Vec<&'static str> {
    section.entries.iter().map(|entry| entry.name()).collect()
}

/// What to say to an unknown key: the nearest here, the place where it belongs, all that are known.
fn instead_of(unknown: &str, section: &Section, root: &Section) -> String {
    let known = names(section);
    let list = known.join(", ");
    if let Some(likely) = nearest(unknown, known) {
        return format!("did you mean `{likely}`? Known here: {list}");
    }
    let rows = rows(root);
    let of_that_name = |row: &&Row| row.path.rsplit('.').next() == Some(unknown);
    match rows.iter().find(of_that_name) {
        Some(row) => format!("it belongs at `{}`. Known here: {list}", row.path),
        None => format!("known here: {list}"),
    }
}
