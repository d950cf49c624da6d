//! `routes[].models`: where a request goes by its model.

use std::time::Duration;

use super::glob::{Glob, GlobText};
use crate::config::file::yaml::Data;
use crate::config::key::Key;
use crate::config::key::reader::{Fields, Reader};
use crate::config::kind::by_name::ByName;
use crate::config::kind::quantity::{Size, Span};
use crate::config::names::{Names, Target, UpstreamName};

pub(in crate::config) static MODELS: Key<ByName<UpstreamName>> = Key::new(
    "models",
    ByName(UpstreamName),
    "In place of `upstream`: patterns over the request's `model`, each with the name of an upstream \
     or group. `*` matches any text. The pattern with the longest literal text wins; of equals the \
     first.",
);

pub(in crate::config) static OTHERWISE: Key<UpstreamName> = Key::new(
    "otherwise",
    UpstreamName,
    "With `models`: upstream or group of models that no pattern matches, and of requests without a \
     model. Without it the former are rejected with 404, the latter with 400.",
);

pub(in crate::config) static MODEL_BYTES: Key<Size<usize>> = Key::new(
    "model_bytes",
    // OpenAI's SDKs write `messages` before `model`: a whole prompt stands in front of it, with images of up to
    // 20 MB each. What is held counts where memory has a limit.
    Size { default: ByModel::MOST_BYTES, within: 1024..=256 * 1024 * 1024 },
    "With `models`: bytes of a request body in which its `model` must stand. They are held in memory \
     until it was found; a body in which it does not stand within them is rejected with 400.",
);

pub(in crate::config) static MODELS_REFRESH: Key<Span> = Key::new(
    "models_refresh",
    // Lists of models change by the day; each worker fetches its own.
    Span { default: Duration::from_secs(300) },
    "With `models`: how often the upstreams' lists of models are fetched for `GET /v1/models`. A list \
     that cannot be fetched again is used for twelve times as long.",
);

/// Where a request goes by its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByModel {
    /// Most specific first.
    rules: Vec<(Glob, Target)>,
    /// Of what no rule takes.
    pub otherwise: Option<Target>,
    /// Bytes of a body in which the model must stand.
    pub most_bytes: usize,
    /// Between two fetches of the upstreams' lists.
    pub refresh: Duration,
}

impl ByModel {
    /// Bytes of a body in which the model must stand where nothing else was said.
    pub const MOST_BYTES: usize = 32 * 1024 * 1024;

    /// From rules in the file's order. No target is [`Target::ByModel`].
    pub fn new(rules: impl IntoIterator<Item = (Glob, Target)>, otherwise: Option<Target>) -> Self {
        let mut rules: Vec<_> = rules.into_iter().collect();
        rules.sort_by_key(|(glob, _)| std::cmp::Reverse(glob.literal()));
        let (most_bytes, refresh) = (MODEL_BYTES.kind.default, MODELS_REFRESH.kind.default);
        Self { rules, otherwise, most_bytes, refresh }
    }

    /// Who answers for a model; `None` where nobody does.
    pub fn target(&self, model: &str) -> Option<Target> {
        let rule = self.rules.iter().find(|(glob, _)| glob.matches(model));
        rule.map(|(_, target)| *target).or(self.otherwise)
    }

    /// The most specific first.
    pub fn rules(&self) -> impl Iterator<Item = (&Glob, Target)> {
        self.rules.iter().map(|(glob, target)| (glob, *target))
    }

    /// Everyone that it may lead to.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        self.rules.iter().map(|(_, target)| *target).chain(self.otherwise)
    }

    /// `None` where the route has no `models`. Reads what belongs to them.
    pub(in crate::config) fn read(
        reader: &mut Reader<'_>,
        route: &Fields<'_>,
        targets: &Names<'_, Target>,
    ) -> Option<Self> {
        let most_bytes = reader.get(route, &MODEL_BYTES);
        let refresh = reader.get(route, &MODELS_REFRESH);
        let otherwise = targets.read(reader, route, &OTHERWISE);
        let Some(node) = route.node(MODELS.name) else {
            let alone = [OTHERWISE.name, MODEL_BYTES.name, MODELS_REFRESH.name];
            for key in alone.into_iter().filter(|key| route.has(key)) {
                let (at, path) = (route.at(key), route.path_of(key));
                reader.fault(at, path, "has no effect without `models`", "remove the line");
            }
            return None;
        };
        let path = route.path_of(MODELS.name);
        let written = reader.get_by_name(route, &MODELS);
        let entries = if let Data::Map(entries) = &node.data { entries.as_slice() } else { &[] };
        if entries.is_empty() && matches!(node.data, Data::Map(_)) {
            reader.fault(node.at, &*path, "has no patterns", "write at least one");
        }
        let mut rules = Vec::new();
        for (pattern, name) in written {
            let Some((at, value)) = entries.iter().find(|(key, _)| key.text == pattern) else {
                continue;
            };
            let path = format!("{path}.{pattern}");
            match reader.value_of(&GlobText, &pattern) {
                Ok(glob) => rules.extend(
                    targets.named(reader, &name, value.at, &path).map(|target| (glob, target)),
                ),
                Err(complaint) => {
                    let what = format!("the pattern {}", complaint.what);
                    reader.fault(at.at, path, what, complaint.hint);
                }
            }
        }
        Some(Self { most_bytes, refresh, ..Self::new(rules, otherwise) })
    }
}
