//! `client_groups`: limits and budgets that several clients share, as a tree.

use super::allowance::{Allowance, BUDGET, LIMITS};
use crate::config::key::reader::{Fields, Reader};
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::optional::Optional;
use crate::config::names::{Names, UpstreamName, fit_name};

/// How far a group may be below the topmost one: each level is looked at for each request.
const DEEPEST: usize = 8;

pub(in crate::config) static CLIENT_GROUPS: Section = Section {
    name: "client_groups",
    shape: Shape::Named,
    required: false,
    doc: "Groups of clients that share limits and a budget, each under a name that clients and other \
          groups use.",
    entries: &[&PARENT, &LIMITS, &BUDGET],
};

static PARENT: Key<Optional<UpstreamName>> = Key::new(
    "parent",
    Optional(UpstreamName),
    "Client group whose limits and budget hold for this one too.",
);

/// Index into [`Config::client_groups`](crate::config::Config::client_groups).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientGroupId(pub usize);

/// Clients that share limits and a budget.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientGroup {
    /// The operator's name for it.
    pub name: String,
    /// Whose limits hold for it too; no group is above itself.
    pub parent: Option<ClientGroupId>,
    /// What all its clients may do together.
    pub allowance: Allowance,
}

/// All of them, in the file's order, which is the order of their ids.
pub(in crate::config) fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Vec<ClientGroup> {
    let sections = reader.named(root, &CLIENT_GROUPS);
    let ids = sections.iter().enumerate();
    let names = Names::new(ids.map(|(nth, (name, _))| (&*name.text, ClientGroupId(nth))));
    let mut groups = Vec::with_capacity(sections.len());
    for (name, fields) in &sections {
        fit_name(reader, name, fields);
        let parent = reader.get(fields, &PARENT);
        let (at, path) = (fields.at(PARENT.name), fields.path_of(PARENT.name));
        groups.push(ClientGroup {
            name: name.text.clone(),
            parent: parent.and_then(|name| names.one_of(reader, at, &path, &name)),
            allowance: Allowance::read(reader, fields),
        });
    }
    for (nth, (_, fields)) in sections.iter().enumerate() {
        if above(&groups, ClientGroupId(nth)).count() > DEEPEST {
            let what = format!("leads in a circle, or through more than {DEEPEST} groups");
            reader.fault_in(fields, &PARENT, what, "name a group that is above this one");
            // Nobody walks along it.
            groups[nth].parent = None;
        }
    }
    groups
}

/// The groups above this one, the nearest first; of a circle some more than [`DEEPEST`].
fn above(groups: &[ClientGroup], of: ClientGroupId) -> impl Iterator<Item = ClientGroupId> {
    let parent = |id: &ClientGroupId| groups.get(id.0)?.parent;
    std::iter::successors(parent(&of), move |id| parent(id)).take(DEEPEST + 1)
}
