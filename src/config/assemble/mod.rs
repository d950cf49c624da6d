//! Tree → configuration as meant, and the rules that hold between keys.

mod clash;
mod group;
mod upstream;

use std::collections::HashMap;

pub(super) use self::clash::leads_back;
use super::file::bounds::MOST_CANDIDATES;
use super::file::fault::{At, nearest};
use super::file::yaml::Node;
use super::key::Key;
use super::key::reader::{Fields, Reader};
use super::keys as k;
use super::route::UpstreamName;
use super::{
    Allowed, ClientDeadlines, Config, GroupId, Limits, Route, RouteDeadlines, Target, UpstreamId,
};

/// Builds the configuration; worth something only if the reader holds no fault afterwards.
pub(super) fn config(reader: &mut Reader<'_>, root: &Node) -> Option<Config> {
    let root = reader.open(&k::ROOT, root, String::new())?;
    let listen = reader.get_many(&root, &k::LISTEN);
    let admin = reader.get(&root, &k::ADMIN);
    clash::listeners(reader, &root, &listen, admin);
    let written = upstream::all(reader, &root);
    let listen: Vec<_> = listen.into_iter().map(|(_, address)| address).collect();
    for upstream in &written {
        clash::loops(reader, upstream, &listen);
    }
    let upstreams = Names::new(written.iter().map(|upstream| upstream.name.as_str()));
    let groups = group::all(reader, &root, &upstreams);
    let targets = upstreams.and(groups.iter().map(|group| group.name.as_str()));
    let routes = routes(reader, &root, &targets, written.len());
    Some(Config {
        listen,
        admin,
        admin_token: reader.get(&root, &k::ADMIN_TOKEN),
        allowed_hosts: allowed(reader.get_many(&root, &k::ALLOWED_HOSTS)),
        allowed_origins: allowed(reader.get_many(&root, &k::ALLOWED_ORIGINS)),
        workers: reader.get(&root, &k::WORKERS),
        upstreams: written.into_iter().filter_map(|upstream| upstream.meant).collect(),
        groups,
        routes,
        client: client(reader, &root),
        limits: limits(reader, &root),
        via: reader.get(&root, &k::VIA),
        access_log: reader.get(&root, &k::ACCESS_LOG),
        reload: reader.get(&root, &k::RELOAD),
        upgrade_timeout: reader.get(&root, &k::UPGRADE_TIMEOUT),
    })
}

fn allowed(written: Vec<(At, Option<String>)>) -> Allowed {
    Allowed::of(written.into_iter().map(|(_, name)| name))
}

/// Names that something can lead to, in the file's order.
#[derive(Clone)]
struct Names<'a> {
    all: Vec<&'a str>,
    places: HashMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    fn new(names: impl Iterator<Item = &'a str>) -> Self {
        Self { all: Vec::new(), places: HashMap::new() }.and(names)
    }

    /// These and then those. Of a name that comes twice the first counts.
    fn and(&self, more: impl Iterator<Item = &'a str>) -> Self {
        let mut names = self.clone();
        for name in more {
            names.places.entry(name).or_insert(names.all.len());
            names.all.push(name);
        }
        names
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }
}

/// `upstreams`: how many of the `targets` are upstreams; the rest are groups.
fn routes(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
    targets: &Names<'_>,
    upstreams: usize,
) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for fields in reader.list(root, &k::ROUTES) {
        let path = reader.get(&fields, &k::ROUTE_PATH);
        let target = target_of(reader, &fields, targets, upstreams);
        let key = k::ROUTE_PATH.name;
        let earlier = *known.entry(path.clone()).or_insert(routes.len());
        if earlier < routes.len() && !path.is_empty() {
            let what = format!("{path:?} is routed twice");
            let hint = format!("routes[{earlier}] has it already; keep one");
            reader.fault(fields.at(key), fields.path_of(key), what, hint);
        }
        let deadlines = route_deadlines(reader, &fields);
        let limits = reader.section(&fields, &k::ROUTE_LIMITS);
        let streams = reader.get(&limits, &k::ROUTE_STREAMS);
        routes.push(Route { path, target, deadlines, streams });
    }
    routes
}

fn route_deadlines(reader: &mut Reader<'_>, route: &Fields<'_>) -> RouteDeadlines {
    let fields = reader.section(route, &k::ROUTE_DEADLINES);
    RouteDeadlines {
        response_head: reader.get(&fields, &k::ROUTE_RESPONSE_HEAD),
        first_frame: reader.get(&fields, &k::ROUTE_FIRST_FRAME),
        frame_gap: reader.get(&fields, &k::ROUTE_FRAME_GAP),
    }
}

/// What a route leads to; anything where it names nothing, since the fault is noted.
fn target_of(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    targets: &Names<'_>,
    upstreams: usize,
) -> Target {
    let found = named(reader, fields, &k::ROUTE_UPSTREAM, targets).unwrap_or_default();
    match found.checked_sub(upstreams) {
        Some(group) if targets.all.len() > upstreams => Target::Group(GroupId(group)),
        _ => Target::Upstream(UpstreamId(found)),
    }
}

/// The place among `names` of the one that `key` has; a fault where it is none of them.
fn named(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: &Key<UpstreamName>,
    names: &Names<'_>,
) -> Option<usize> {
    let faults_before = reader.count();
    let name = reader.get(fields, key);
    let found = names.place(&name);
    if found.is_none() && fields.has(key.name) && reader.count() == faults_before {
        let hint = || instead_of(&name, &names.all);
        reader.fault_with(fields.at(key.name), fields.path_of(key.name), "names no upstream", hint);
    }
    found
}

/// What a name that is none of `names` may have been meant to be.
fn instead_of(name: &str, names: &[&str]) -> String {
    let listed = names.iter().take(MOST_CANDIDATES).copied().collect::<Vec<_>>().join(", ");
    match nearest(name, names.iter().copied()) {
        Some(likely) => format!("did you mean {likely}?"),
        None if names.is_empty() => "there is none".to_owned(),
        None if names.len() > MOST_CANDIDATES => format!("there are: {listed} and others"),
        None => format!("there are: {listed}"),
    }
}

fn client(reader: &mut Reader<'_>, root: &Fields<'_>) -> ClientDeadlines {
    let fields = reader.section(root, &k::CLIENT);
    ClientDeadlines {
        head: reader.get(&fields, &k::CLIENT_HEAD),
        idle: reader.get(&fields, &k::CLIENT_IDLE),
        body_idle: reader.get(&fields, &k::BODY_IDLE),
        body_rate: reader.get(&fields, &k::BODY_RATE),
        write_stall: reader.get(&fields, &k::WRITE_STALL),
        drain: reader.get(&fields, &k::DRAIN),
    }
}

fn limits(reader: &mut Reader<'_>, root: &Fields<'_>) -> Limits {
    let fields = reader.section(root, &k::LIMITS);
    Limits {
        connections: reader.get(&fields, &k::CONNECTIONS),
        streams: reader.get(&fields, &k::STREAMS),
        header_bytes: reader.get(&fields, &k::HEADER_BYTES),
        headers: reader.get(&fields, &k::HEADERS),
        response_header_bytes: reader.get(&fields, &k::RESPONSE_HEADER_BYTES),
        response_headers: reader.get(&fields, &k::RESPONSE_HEADERS),
        replay_bytes: reader.get(&fields, &k::REPLAY_BYTES),
        memory: reader.get(&fields, &k::MEMORY),
    }
}
