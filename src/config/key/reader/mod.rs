//! Reads keys out of the tree. A fault never ends the reading: it is noted, a default stands in,
//! and the configuration is thrown away at the end.

mod faults;

use std::path::Path;

use self::faults::{instead_of, names, quoted};
use super::{IGNORED, Key, Section, Shape};
use crate::config::file::bounds::{MOST_ITEMS, MOST_SECTIONS};
use crate::config::file::env::{Env, ProcessEnv, fill};
use crate::config::file::fault::{At, Complaint, Fault};
use crate::config::file::yaml::{Data, Name, Node};
use crate::config::kind::by_name::ByName;
use crate::config::kind::many::Many;
use crate::config::kind::{Around, Kind};

/// Reads values and gathers faults.
pub(in crate::config) struct Reader<'a> {
    file: String,
    around: Around<'a>,
    /// Where keys belong that stand in the wrong place.
    root: &'static Section,
    /// The first of them, as many as are told.
    faults: Vec<Fault>,
    count: usize,
    /// What can be used, and is likely not meant.
    warnings: Vec<Fault>,
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

    /// What is written there, where that may be of several shapes.
    pub(in crate::config) fn node(&self, name: &str) -> Option<&'n Node> {
        self.find(name)
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
        Self { file, around, root, faults: Vec::new(), count: 0, warnings: Vec::new() }
    }

    /// Variables and files.
    pub(in crate::config) fn env(&self) -> &'a dyn Env {
        self.around.env
    }

    /// The items of a list, as many as there may be values.
    pub(in crate::config) fn items<'n>(
        &mut self,
        items: &'n [Node],
        at: At,
        path: &str,
    ) -> &'n [Node] {
        self.first(items, MOST_ITEMS, at, path)
    }

    /// A value of this kind, where it is not a key's alone.
    pub(in crate::config) fn value<K: Kind>(
        &mut self,
        node: &Node,
        path: &str,
        kind: &K,
    ) -> Option<K::Value> {
        self.scalar(node, path, |text, around| kind.read(text, around))
    }

    /// As many as may be; of more, that they are too many.
    fn first<'n, T>(&mut self, all: &'n [T], most: usize, at: At, path: &str) -> &'n [T] {
        if all.len() > most {
            self.fault(at, path, format!("has more than {most} entries"), "remove some");
        }
        &all[..all.len().min(most)]
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

    /// The values of a key that has names of the operator's below it, in the file's order.
    pub(in crate::config) fn get_by_name<K: Kind>(
        &mut self,
        fields: &Fields<'_>,
        key: &Key<ByName<K>>,
    ) -> Vec<(String, K::Value)> {
        let Some(node) = fields.find(key.name) else { return key.kind.absent() };
        let path = fields.path_of(key.name);
        let Data::Map(entries) = &node.data else {
            let complaint = key.kind.read("", &self.around).err();
            let (what, hint) = complaint.map(|it| (it.what, it.hint)).unwrap_or_default();
            self.fault(node.at, path, what, hint);
            return key.kind.absent();
        };
        let mut values = Vec::with_capacity(entries.len().min(MOST_ITEMS));
        for (name, node) in self.first(entries, MOST_ITEMS, node.at, &path) {
            let path = format!("{path}.{}", name.text);
            let value = self.scalar(node, &path, |text, around| key.kind.0.read(text, around));
            values.extend(value.map(|value| (name.text.clone(), value)));
        }
        values
    }

    /// A text of the file that is no value, read as one.
    pub(in crate::config) fn value_of<K: Kind>(
        &self,
        kind: &K,
        text: &str,
    ) -> Result<K::Value, Complaint> {
        kind.read(text, &self.around)
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
                self.fault(node.at, path, "has no value", "write a value, or remove the line");
                return None;
            }
            Data::List(_) | Data::Map(_) => {
                self.fault(
                    node.at,
                    path,
                    "is not a single value",
                    "write one value on the same line as the key",
                );
                return None;
            }
        };
        let read = fill(text, self.around.env).and_then(|filled| read(&filled, &self.around));
        for Complaint { what, hint, .. } in self.around.take_remarks() {
            self.warn(node.at, path, format!("the value {what}"), hint);
        }
        read.map_err(|complaint| self.complain(node.at, path, text, complaint)).ok()
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
                "has no named entries",
                "write a name and a colon, and its keys indented below",
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
        self.long_list(fields, section, MOST_SECTIONS)
    }

    /// The same of at most `most` items, where no rule looks at each beside each.
    pub(in crate::config) fn long_list<'n>(
        &mut self,
        fields: &Fields<'n>,
        section: &Section,
        most: usize,
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
        let items = self.first(items, most, node.at, &path);
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
            let is_ignored = section.name.is_empty() && name.text.starts_with(IGNORED);
            if !is_known && !is_ignored && self.counts() {
                let what = format!("{} is not a known key", quoted(&name.text));
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

/// What `read` makes of a section of which nothing is written: the defaults of all its keys.
pub(in crate::config) fn unwritten<T>(read: impl FnOnce(&mut Reader<'_>, &Fields<'_>) -> T) -> T {
    static NONE: Section =
        Section { name: "", shape: Shape::One, required: false, doc: "", entries: &[] };
    // No value is read, so that nothing is asked of the environment.
    let around = Around::new(&ProcessEnv, Path::new(""));
    let fields = Fields { at: At { line: 1, column: 1 }, path: String::new(), entries: &[] };
    read(&mut Reader::new(String::new(), around, &NONE), &fields)
}
