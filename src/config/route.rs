//! `routes`: which path leads to which upstream or group.

use std::collections::HashMap;
use std::time::Duration;

use super::adapt::{ADAPT, Adapt};
use super::cors::{CORS, Cors};
use super::events::{EVENTS, Events};
use super::key::reader::{Fields, Reader};
use super::key::{Key, Section, Shape};
use super::kind::optional::Optional;
use super::kind::path::Prefix;
use super::kind::quantity::{Count, Span};
use super::limits::MOST;
use super::models::ByModel;
use super::models::by_model::{MODEL_BYTES, MODELS, MODELS_REFRESH, OTHERWISE};
use super::names::{Names, RouteId, Target, UpstreamId, UpstreamName};
use super::resume::{RESUME, Resume, read_at};

pub(super) static ROUTES: Section = Section {
    name: "routes",
    shape: Shape::List,
    required: true,
    doc: "Routes: which path is forwarded to which upstream or group.",
    entries: &[
        &PATH,
        &UPSTREAM,
        &MODELS,
        &OTHERWISE,
        &MODEL_BYTES,
        &MODELS_REFRESH,
        &DEADLINES,
        &HEARTBEAT,
        &LIMITS,
        &CORS,
        &EVENTS,
        &RESUME,
    ],
};

static PATH: Key<Prefix> = Key::required(
    "path",
    Prefix,
    "Path prefix that ends at a `/`: `/v1` matches `/v1/models`, never `/v1beta`. The longest \
     matching prefix wins.",
);

static UPSTREAM: Key<UpstreamName> = Key::new(
    "upstream",
    UpstreamName,
    "Name of the upstream or group that requests are forwarded to. Required, unless `models` or `events` is there.",
);

static DEADLINES: Section = Section {
    name: "deadlines",
    shape: Shape::One,
    required: false,
    doc: "Deadlines of this route, instead of those of its upstreams.",
    entries: &[&RESPONSE_HEAD, &FIRST_FRAME, &FRAME_GAP],
};

static RESPONSE_HEAD: Key<Optional<Span>> = Key::new(
    "response_head",
    Optional(Span::ANY),
    "Replaces the upstream's `deadlines.response_head`.",
);

static FIRST_FRAME: Key<Optional<Span>> = Key::new(
    "first_frame",
    Optional(Span::ANY),
    "Replaces the upstream's `deadlines.first_frame`.",
);

static FRAME_GAP: Key<Optional<Span>> =
    Key::new("frame_gap", Optional(Span::ANY), "Replaces the upstream's `deadlines.frame_gap`.");

static HEARTBEAT: Key<Optional<Span>> = Key::new(
    "heartbeat",
    Optional(Span::ANY),
    "While an event stream of this route is silent for this long, the client gets a comment line, `:`, \
     between two events. At least 1s. Not set: the client gets the upstream's bytes unchanged.",
);

static LIMITS: Section = Section {
    name: "limits",
    shape: Shape::One,
    required: false,
    doc: "Limits of this route, in addition to the top-level `limits`.",
    entries: &[&STREAMS, &ADAPT],
};

static STREAMS: Key<Optional<Count<usize>>> = Key::new(
    "streams",
    Optional(Count::within(1..=MOST)),
    "Maximum number of requests in flight on this route, over all workers; more are rejected with \
     429.",
);

/// More often would cost clients more than a connection that somebody takes for dead.
const SHORTEST_HEARTBEAT: Duration = Duration::from_secs(1);

/// One path prefix and where it leads.
#[derive(Debug, Clone)]
pub struct Route {
    /// A path prefix that begins with `/`; `/v1` matches `/v1` and `/v1/models`, never `/v1beta`.
    pub path: String,
    /// Who answers.
    pub target: Target,
    /// Where a request goes by its model, exactly where the target is [`Target::ByModel`].
    pub models: Option<Box<ByModel>>,
    /// What may be published, exactly where the target is [`Target::Events`].
    pub events: Option<Box<Events>>,
    /// Clocks of this route's own.
    pub deadlines: RouteDeadlines,
    /// A stream of events that is silent for this long gets a comment, a second at least. `None`:
    /// never.
    pub heartbeat: Option<Duration>,
    /// Requests in flight on it at once, over all workers; beyond it 429. `None`: no bound of its own.
    pub streams: Option<usize>,
    /// A bound that follows the first byte, under the other one.
    pub adapt: Option<Adapt>,
    /// Web pages that may use it; `None`: those of [`Config::allowed_origins`](super::Config).
    pub cors: Option<Cors>,
    /// How its responses are kept for clients that come back; `None`: they are not.
    pub resume: Option<Resume>,
}

/// A route's own clocks, in place of its upstreams'.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteDeadlines {
    /// In place of [`UpstreamDeadlines::response_head`](super::UpstreamDeadlines::response_head).
    pub response_head: Option<Duration>,
    /// In place of [`UpstreamDeadlines::first_frame`](super::UpstreamDeadlines::first_frame).
    pub first_frame: Option<Duration>,
    /// In place of [`UpstreamDeadlines::frame_gap`](super::UpstreamDeadlines::frame_gap).
    pub frame_gap: Option<Duration>,
}

impl Route {
    /// A route with its upstreams' own clocks.
    pub fn new(path: impl Into<String>, target: Target) -> Self {
        let deadlines = RouteDeadlines::default();
        Self {
            path: path.into(),
            target,
            models: None,
            events: None,
            deadlines,
            heartbeat: None,
            streams: None,
            adapt: None,
            cors: None,
            resume: None,
        }
    }

    /// A route whose requests go where their models say.
    pub fn by_model(path: impl Into<String>, models: ByModel) -> Self {
        Self { models: Some(Box::new(models)), ..Self::new(path, Target::ByModel) }
    }

    /// A route with named events.
    pub fn with_events(path: impl Into<String>, events: Events) -> Self {
        Self { events: Some(Box::new(events)), ..Self::new(path, Target::Events) }
    }

    /// Every upstream and group that it may lead to. Some may come twice.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        let alone = self.target.has_upstreams().then_some(self.target);
        alone.into_iter().chain(self.models.iter().flat_map(|models| models.targets()))
    }
}

impl RouteDeadlines {
    fn read(reader: &mut Reader<'_>, route: &Fields<'_>) -> Self {
        let fields = reader.section(route, &DEADLINES);
        Self {
            response_head: reader.get(&fields, &RESPONSE_HEAD),
            first_frame: reader.get(&fields, &FIRST_FRAME),
            frame_gap: reader.get(&fields, &FRAME_GAP),
        }
    }
}

/// All of them, in the file's order, which is the order of their ids; after them those that follow from theirs.
/// `knows_clients`: there are `clients`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
    targets: &Names<'_, Target>,
    knows_clients: bool,
) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    let mut written = Vec::new();
    let mut known: HashMap<String, RouteId> = HashMap::new();
    for fields in reader.list(root, &ROUTES) {
        let id = RouteId(routes.len());
        let path = reader.get(&fields, &PATH);
        let upstream = targets.read(reader, &fields, &UPSTREAM);
        let models = ByModel::read(reader, &fields, targets);
        let events = Events::read(reader, &fields);
        if events.is_some() {
            alone(reader, &fields);
        } else if models.is_some() && fields.has(UPSTREAM.name) {
            let what = "stands beside `models`";
            let hint = "remove one of them; `otherwise` is for models that no pattern matches";
            reader.fault_in(&fields, &UPSTREAM, what, hint);
        } else if models.is_none() && !fields.has(UPSTREAM.name) {
            let hint = "name an upstream or group, or write `models` or `events`";
            reader.fault(fields.at, &*fields.path, "`upstream` is missing", hint);
        }
        let first = *known.entry(path.clone()).or_insert(id);
        if first != id && !path.is_empty() {
            let what = format!("{path:?} has two routes");
            let hint = format!("routes[{}] has the same path; remove one of them", first.0);
            reader.fault_in(&fields, &PATH, what, hint);
        }
        let deadlines = RouteDeadlines::read(reader, &fields);
        let heartbeat = heartbeat(reader, &fields);
        let limits = reader.section(&fields, &LIMITS);
        let streams = reader.get(&limits, &STREAMS);
        let adapt = Adapt::read(reader, &limits, streams);
        let cors = Cors::read(reader, &fields);
        let resume = Resume::read(reader, &fields, knows_clients);
        let target = match (&models, &events) {
            (_, Some(_)) => Target::Events,
            (Some(_), None) => Target::ByModel,
            (None, None) => upstream.unwrap_or(Target::Upstream(UpstreamId(0))), // any: the fault is noted
        };
        let (models, events) = (models.map(Box::new), events.map(Box::new));
        routes.push(Route {
            path,
            target,
            models,
            events,
            deadlines,
            heartbeat,
            streams,
            adapt,
            cors,
            resume,
        });
        written.push(fields);
    }
    for path in streams_at(reader, &routes, &written) {
        routes.push(Route::new(path, Target::Streams));
    }
    routes
}

/// Where kept streams are read: no route may be there already.
fn streams_at(reader: &mut Reader<'_>, routes: &[Route], written: &[Fields<'_>]) -> Vec<String> {
    let keeping = routes.iter().filter(|route| route.resume.is_some());
    let paths = read_at(keeping.map(|route| &*route.path));
    for path in &paths {
        let mut all = routes.iter().zip(written);
        let taken = all.find(|(route, _)| route.path.trim_end_matches('/') == path);
        if let Some((_, fields)) = taken {
            let what = format!("{path:?} is where kept streams are read: a route has `resume`");
            reader.fault_in(fields, &PATH, what, "choose another path");
        }
    }
    paths
}

/// Where events are published nobody else is asked.
fn alone(reader: &mut Reader<'_>, route: &Fields<'_>) {
    let others = [UPSTREAM.name, MODELS.name, DEADLINES.name, HEARTBEAT.name, RESUME.name];
    for key in others.into_iter().filter(|key| route.has(key)) {
        let (at, path) = (route.at(key), route.path_of(key));
        let what = "stands beside `events`, which needs no upstream";
        reader.fault(at, path, what, "remove one of them");
    }
}

fn heartbeat(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Duration> {
    let heartbeat = reader.get(fields, &HEARTBEAT);
    if heartbeat.is_some_and(|every| every < SHORTEST_HEARTBEAT) {
        let hint = "balancers wait for half a minute at least; 15s keeps their connections";
        reader.fault_in(fields, &HEARTBEAT, "is shorter than a second", hint);
    }
    heartbeat
}
