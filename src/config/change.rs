//! From one configuration to the next: what changed, and what of it a running process can take.

use secrecy::{ExposeSecret, SecretString};

use super::clients::Client;
use super::clients::group::ClientGroup;
use super::door::address::ListenAddress;
use super::file::fault::{Fault, Faults, Place};
use super::file::yaml::{self, Data};
use super::group::Group;
use super::names::{RouteId, Target, UpstreamId};
use super::root::Config;
use super::route::Route;
use super::upstream::Upstream;
use super::upstream::deadlines::UpstreamDeadlines;
use super::upstream::pool::Pool;
use super::upstream::tls::UpstreamTls;

/// A running process cannot take these.
const FIXED: &str = "it is read only at startup: undo the change, or start a new process (SIGUSR2 \
    hands the listeners over and rejects no connection)";

/// What changed: dotted paths, in the order of the key table. Of a secret only that it did.
pub fn changes(before: &Config, after: &Config) -> Vec<String> {
    let mut all = Vec::new();
    let mut differs = |key: &str, differs: bool| all.extend(differs.then(|| key.to_owned()));
    let token =
        |config: &Config| config.admin_token.as_ref().map(|one| one.expose_secret().to_owned());
    differs("listen", before.listen != after.listen);
    differs("trusted_proxies", before.trusted_proxies != after.trusted_proxies);
    differs("admin_token", token(before) != token(after));
    differs("allowed_hosts", before.allowed_hosts != after.allowed_hosts);
    differs("allowed_origins", before.allowed_origins != after.allowed_origins);
    differs("access_log_format", before.access_log_format != after.access_log_format);
    differs("reload", before.reload != after.reload);
    differs("upgrade_timeout", before.upgrade_timeout != after.upgrade_timeout);
    differs("via", before.via != after.via);
    differs("redis", before.redis != after.redis);
    differs("client", shown(&before.client) != shown(&after.client));
    differs("limits", shown(&before.limits) != shown(&after.limits));
    let names = |config: &Config| -> Vec<String> {
        config.upstreams.iter().map(|upstream| format!("upstreams.{}", upstream.name)).collect()
    };
    come_and_gone(&names(before), &names(after), &mut all);
    for now in &after.upstreams {
        if let Some(then) = before.upstreams.iter().find(|then| then.name == now.name) {
            upstream(then, now, &mut all);
        }
    }
    let group =
        |config: &Config, group: &Group| format!("groups.{} {}", group.name, led(config, group));
    let groups =
        |config: &Config| config.groups.iter().map(|one| group(config, one)).collect::<Vec<_>>();
    by_line("groups", &groups(before), &groups(after), &mut all);
    let routes =
        |config: &Config| config.routes.iter().map(|one| route(config, one)).collect::<Vec<_>>();
    by_line("routes", &routes(before), &routes(after), &mut all);
    differs_by_name(before, after, &mut all);
    all
}

/// What a running process cannot change; nothing of a configuration that asks for it may be applied.
/// `text` is the file's, in which the keys are found.
///
/// # Errors
/// Each such key with its place.
pub(super) fn check(before: &Config, after: &Config, file: &str, text: &str) -> Result<(), Faults> {
    let fixed = [
        ("listen", sockets(before) != sockets(after)),
        ("admin", before.admin != after.admin),
        ("workers", before.workers != after.workers),
        ("pin", before.pin != after.pin),
        ("access_log", before.access_log != after.access_log),
        ("store", before.store != after.store),
        ("limits.memory", before.limits.memory != after.limits.memory),
    ];
    let fault = |(key, _): &(&str, bool)| Fault {
        place: place(file, text, key),
        key: (*key).to_owned(),
        what: "can't be changed by a reload".into(),
        hint: FIXED.into(),
    };
    let faults: Vec<_> = fixed.iter().filter(|(_, differs)| *differs).map(fault).collect();
    let nothing = faults.is_empty().then_some(());
    Faults::or(faults, nothing)
}

/// What a listener's socket is made of. How clients speak on it can change at any time.
fn sockets(config: &Config) -> Vec<(&ListenAddress, u32)> {
    config.listen.iter().map(|listener| (&listener.address, listener.mode)).collect()
}

/// Whether connections opened for one serve the other: all that they are made of is the same. What they
/// are trusted by and shown (`ca_file`, `client_certificate`, `client_key`) is files' content and not looked at here.
pub fn shares_connections(one: &Upstream, other: &Upstream) -> bool {
    // In full, so that whoever adds a field decides.
    let Upstream {
        name,
        scheme,
        host,
        port,
        socket,
        proxy,
        protocol,
        pool,
        deadlines: UpstreamDeadlines { connect, response_head: _, first_frame: _, frame_gap: _ },
        base_path: _,
        key: _,
        forward_authorization: _,
        outgoing: _,
        redirects: _,
        underscores_in_headers: _,
        organization: _,
        project: _,
        host_header: _,
        ca_file: _,
        tls: UpstreamTls { server_name, client: _, pins },
        dns,
        health: _,
        probe: _,
        streams: _,
        adapt: _,
        forwarded: _,
    } = one;
    *name == other.name
        && (*scheme, host, *port) == (other.scheme, &other.host, other.port)
        && (socket, proxy) == (&other.socket, &other.proxy)
        && (server_name, pins) == (&other.tls.server_name, &other.tls.pins)
        && *protocol == other.protocol
        && *connect == other.deadlines.connect
        && *dns == other.dns
        && shown::<Pool>(pool) == shown(&other.pool)
}

/// None of these holds a secret, and all of each is shown.
fn shown<T: std::fmt::Debug>(part: &T) -> String {
    format!("{part:?}")
}

/// Compared and never shown.
fn exposed<N: ToString>(all: &[(N, SecretString)]) -> Vec<(String, String)> {
    let exposed =
        |(name, value): &(N, SecretString)| (name.to_string(), value.expose_secret().to_owned());
    all.iter().map(exposed).collect()
}

fn upstream(then: &Upstream, now: &Upstream, all: &mut Vec<String>) {
    let key = |of: &Upstream| of.key.as_ref().map(|key| key.expose_secret().to_owned());
    let place = |of: &Upstream| (of.scheme, of.host.clone(), of.port, of.socket.clone());
    let url = |of: &Upstream| {
        let query = of.outgoing.url_query.as_ref().map(|query| query.expose_secret().to_owned());
        (place(of), of.base_path.clone(), query)
    };
    let (sent, sends) = (&then.outgoing, &now.outgoing);
    let parts = [
        ("url", url(then) != url(now)),
        ("key", key(then) != key(now)),
        ("auth_header", sent.auth_header != sends.auth_header),
        ("organization", then.organization != now.organization),
        ("project", then.project != now.project),
        ("headers", exposed(&sent.headers) != exposed(&sends.headers)),
        ("query", exposed(&sent.query) != exposed(&sends.query)),
        ("forward_headers", sent.forward_headers != sends.forward_headers),
        ("forward_query", sent.forward_query != sends.forward_query),
        ("redirects", then.redirects != now.redirects),
        ("forward_authorization", then.forward_authorization != now.forward_authorization),
        ("underscores_in_headers", then.underscores_in_headers != now.underscores_in_headers),
        ("forwarded", then.forwarded != now.forwarded),
        ("protocol", then.protocol != now.protocol),
        ("dns", then.dns != now.dns),
        ("host", then.host_header != now.host_header),
        ("ca_file", then.ca_file != now.ca_file),
        ("server_name", then.tls.server_name != now.tls.server_name),
        ("pin_sha256", then.tls.pins != now.tls.pins),
        ("client_certificate", then.tls.client != now.tls.client),
        ("proxy", then.proxy != now.proxy),
        ("pool", shown(&then.pool) != shown(&now.pool)),
        ("deadlines", shown(&then.deadlines) != shown(&now.deadlines)),
        ("health", (then.health, &then.probe) != (now.health, &now.probe)),
        ("limits", (then.streams, then.adapt) != (now.streams, now.adapt)),
    ];
    let named = parts.iter().filter(|(_, differs)| *differs);
    all.extend(named.map(|(part, _)| format!("upstreams.{}.{part}", now.name)));
}

/// Clients and their groups. A client's key shows by its digest that it changed, and nothing more is told.
fn differs_by_name(before: &Config, after: &Config, all: &mut Vec<String>) {
    let client = |config: &Config, one: &Client| {
        let group =
            one.group.and_then(|id| config.client_groups.get(id.0)).map(|group| &group.name);
        let path = |id: &RouteId| config.routes.get(id.0).map(|route| route.path.clone());
        let routes = one.routes.as_ref().map(|ids| ids.iter().map(path).collect::<Vec<_>>());
        let rest = Client { group: None, routes: None, ..one.clone() };
        format!("{rest:?} {group:?} {routes:?}")
    };
    let group = |config: &Config, one: &ClientGroup| {
        let parent =
            one.parent.and_then(|id| config.client_groups.get(id.0)).map(|group| &group.name);
        format!("{} {parent:?} {:?}", one.name, one.allowance)
    };
    let clients = |config: &Config| -> Option<Vec<String>> {
        Some(config.clients.as_ref()?.iter().map(|one| client(config, one)).collect())
    };
    let groups = |config: &Config| -> Vec<String> {
        config.client_groups.iter().map(|one| group(config, one)).collect()
    };
    all.extend((clients(before) != clients(after)).then(|| "clients".to_owned()));
    all.extend((before.prices != after.prices).then(|| "prices".to_owned()));
    all.extend((before.privacy != after.privacy).then(|| "privacy".to_owned()));
    by_line("client_groups", &groups(before), &groups(after), all);
}

/// A route as one line: by its path and the names it leads to, not by their numbers.
fn route(config: &Config, route: &Route) -> String {
    let name = |target: Target| target_name(config, target);
    let Route { path, target, models, events, deadlines, heartbeat, streams, adapt, cors, resume } =
        route;
    let models = models.as_ref().map(|models| {
        let rules: Vec<_> = models.rules().map(|(glob, to)| (glob.text(), name(to))).collect();
        (rules, models.otherwise.map(name), models.most_bytes, models.refresh)
    });
    let name = name(*target);
    let times = (deadlines, heartbeat);
    let rest = format!("{events:?} {times:?} {streams:?} {adapt:?} {cors:?} {resume:?}");
    format!("routes {path} {name:?} {models:?} {rest}")
}

fn target_name(config: &Config, target: Target) -> Option<&str> {
    match target {
        Target::Upstream(id) => config.upstream(id).map(|upstream| &*upstream.name),
        Target::Group(id) => config.group(id).map(|group| &*group.name),
        Target::ByModel | Target::Events | Target::Streams => None,
    }
}

/// All of a group, its members by name.
fn led(config: &Config, group: &Group) -> String {
    let name = |id: UpstreamId| config.upstream(id).map(|upstream| &upstream.name);
    let members = group.members.iter();
    let members: Vec<_> = members.map(|one| (name(one.upstream), one.weight, one.tier)).collect();
    let rest = Group { members: Vec::new(), ..group.clone() };
    format!("{members:?} {rest:?}")
}

fn come_and_gone(before: &[String], after: &[String], all: &mut Vec<String>) {
    let gone = before.iter().filter(|name| !after.contains(name));
    all.extend(gone.map(|name| format!("{name} (gone)")));
    let come = after.iter().filter(|name| !before.contains(name));
    all.extend(come.map(|name| format!("{name} (new)")));
}

fn by_line(key: &str, before: &[String], after: &[String], all: &mut Vec<String>) {
    all.extend((before != after).then(|| key.to_owned()));
}

fn place(file: &str, text: &str, key: &str) -> Place {
    let section = key.split('.').next().unwrap_or(key);
    let root = yaml::parse(text, &mut Vec::new());
    let found = root.and_then(|root| match root.data {
        Data::Map(entries) => entries.into_iter().find(|(name, _)| name.text == section),
        _ => None,
    });
    match found {
        Some((name, _)) => Place::In(file.to_owned(), name.at),
        None => Place::File(file.to_owned()),
    }
}
