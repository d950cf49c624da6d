//! Names of the operator's, and the ids that they become.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::file::bounds::MOST_CANDIDATES;
use super::file::fault::{At, Complaint, nearest};
use super::file::yaml::Name;
use super::key::Key;
use super::key::reader::{Fields, Reader};
use super::kind::{Around, Kind};

/// Longest name; it stands in every metric and log line.
const LONGEST_NAME: usize = 64;

/// What to do about a name that cannot.
pub const FIT_FOR_A_NAME: &str = "use at most 64 letters, digits, `_`, `.` and `-`";

/// Index into [`Config::upstreams`](super::Config::upstreams).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UpstreamId(pub usize);

/// Index into [`Config::groups`](super::Config::groups).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupId(pub usize);

/// Index into [`Config::routes`](super::Config::routes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteId(pub usize);

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// One upstream.
    Upstream(UpstreamId),
    /// One of several.
    Group(GroupId),
    /// Whom the request's model names.
    ByModel,
    /// What was published, without an upstream.
    Events,
    /// No upstream: streams that are kept are read here.
    Streams,
}

impl Target {
    /// It is an upstream, or a group of some.
    pub fn has_upstreams(self) -> bool {
        matches!(self, Self::Upstream(_) | Self::Group(_))
    }
}

/// Where a name leads to: ids of one kind.
#[derive(Clone)]
pub(super) struct Names<'a, T> {
    /// In the file's order.
    all: Vec<&'a str>,
    ids: HashMap<&'a str, T>,
}

impl<'a, T: Copy> Names<'a, T> {
    /// Of a name that comes twice the first counts.
    pub(super) fn new(names: impl IntoIterator<Item = (&'a str, T)>) -> Self {
        let mut known = Self { all: Vec::new(), ids: HashMap::new() };
        for (name, id) in names {
            known.ids.entry(name).or_insert(id);
            known.all.push(name);
        }
        known
    }

    pub(super) fn id(&self, name: &str) -> Option<T> {
        self.ids.get(name).copied()
    }

    /// The one of these that a value names; a fault where it is none of them.
    pub(super) fn one_of(
        &self,
        reader: &mut Reader<'_>,
        at: At,
        path: &str,
        name: &str,
    ) -> Option<T> {
        let found = self.id(name);
        if found.is_none() {
            let what = "is not a configured name";
            reader.fault_with(at, path, what, || instead_of(name, &self.all));
        }
        found
    }

    /// The one of these that `key` names; a fault where it is none of them.
    pub(super) fn read(
        &self,
        reader: &mut Reader<'_>,
        fields: &Fields<'_>,
        key: &Key<UpstreamName>,
    ) -> Option<T> {
        let faults_before = reader.count();
        let name = reader.get(fields, key);
        let found = self.id(&name);
        if found.is_none() && fields.has(key.name) && reader.count() == faults_before {
            self.unknown(reader, &name, fields.at(key.name), &fields.path_of(key.name));
        }
        found
    }

    /// The one of these that has this name, which stands at `at`; a fault where none has.
    pub(super) fn named(
        &self,
        reader: &mut Reader<'_>,
        name: &str,
        at: At,
        path: &str,
    ) -> Option<T> {
        let found = self.id(name);
        if found.is_none() {
            self.unknown(reader, name, at, path);
        }
        found
    }

    fn unknown(&self, reader: &mut Reader<'_>, name: &str, at: At, path: &str) {
        let hint = || instead_of(name, &self.all);
        reader.fault_with(at, path, "is not a configured name", hint);
    }
}

/// The name of an upstream or group; whether there is one of that name is seen when all are known.
pub(super) struct UpstreamName;

impl Kind for UpstreamName {
    type Value = String;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<String, Complaint> {
        Ok(text.to_owned())
    }

    fn absent(&self) -> String {
        String::new()
    }

    fn name(&self) -> String {
        "name".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

/// Whether a name of the operator's can stand in a metric's label, a log line and a header.
pub(super) fn fit_name(reader: &mut Reader<'_>, name: &Name, fields: &Fields<'_>) {
    fit_text(reader, name.at, &name.text, &fields.path);
}

/// The same of a name that is a value.
pub(super) fn fit_text(reader: &mut Reader<'_>, at: At, name: &str, path: &str) {
    if !is_name(name) {
        reader.fault(at, path, "is not a valid name", FIT_FOR_A_NAME);
    }
}

/// Whether it can.
pub fn is_name(name: &str) -> bool {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(fit)
}

/// What a name that is none of `names` may have been meant to be.
fn instead_of(name: &str, names: &[&str]) -> String {
    let listed = names.iter().take(MOST_CANDIDATES).copied().collect::<Vec<_>>().join(", ");
    match nearest(name, names.iter().copied()) {
        Some(likely) => format!("did you mean {likely}?"),
        None if names.is_empty() => "none is configured".to_owned(),
        None if names.len() > MOST_CANDIDATES => format!("configured: {listed} and others"),
        None => format!("configured: {listed}"),
    }
}
