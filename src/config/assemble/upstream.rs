//! Upstreams, and the rules between their keys.

use crate::config::file::fault::At;
use crate::config::file::yaml::Name;
use crate::config::key::reader::{Fields, Reader};
use crate::config::keys as k;
use crate::config::{Dns, HealthPolicy, Pool, Probe, Scheme, Upstream, UpstreamDeadlines};

/// Longest name; it stands in every metric and log line.
const LONGEST_NAME: usize = 64;

/// An upstream as it stands in the file. Its name counts even where the rest is faulty, so that
/// a route that leads there is not accused as well.
pub(super) struct Written {
    pub(super) name: String,
    /// Where the URL stands, and its dotted path.
    pub(super) url: (At, String),
    /// `None` where the URL is missing or faulty.
    pub(super) meant: Option<Upstream>,
}

/// All of them, in the file's order, which is the order of their ids.
pub(super) fn all(reader: &mut Reader<'_>, root: &Fields<'_>) -> Vec<Written> {
    let mut upstreams = Vec::new();
    for (name, fields) in reader.named(root, &k::UPSTREAMS) {
        fit_name(reader, name, &fields);
        upstreams.push(one(reader, &fields, name.text.clone()));
    }
    upstreams
}

/// Whether a name of the operator's can stand in a metric's label, a log line and a header.
pub(super) fn fit_name(reader: &mut Reader<'_>, name: &Name, fields: &Fields<'_>) {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.text.is_empty() || name.text.len() > LONGEST_NAME || !name.text.chars().all(fit) {
        let what = "is not a name for logs and metrics";
        let hint = "use letters, digits, `_`, `.` and `-`, 64 at most";
        reader.fault(name.at, &*fields.path, what, hint);
    }
}

fn one(reader: &mut Reader<'_>, fields: &Fields<'_>, name: String) -> Written {
    let url = reader.get(fields, &k::URL);
    let key = reader.get(fields, &k::KEY);
    let organization = reader.get(fields, &k::ORGANIZATION);
    let project = reader.get(fields, &k::PROJECT);
    let forward_authorization = reader.get(fields, &k::FORWARD_AUTHORIZATION);
    let underscores_in_headers = reader.get(fields, &k::UNDERSCORES_IN_HEADERS);
    let protocol = reader.get(fields, &k::PROTOCOL);
    let ca_file = reader.get(fields, &k::CA_FILE);
    let pool = pool(reader, fields);
    let deadlines = deadlines(reader, fields);
    let dns = dns(reader, fields);
    let (health, probe) = health(reader, fields);
    let limits = reader.section(fields, &k::UPSTREAM_LIMITS);
    let streams = reader.get(&limits, &k::UPSTREAM_STREAMS);
    key_rules(reader, fields, organization.is_some(), project.is_some(), forward_authorization);
    if ca_file.is_some() && url.as_ref().is_some_and(|url| url.scheme == Scheme::Http) {
        let name = k::CA_FILE.name;
        let hint = "write https:// in the url, or remove the line";
        reader.fault(
            fields.at(name),
            fields.path_of(name),
            "means nothing to an http:// url",
            hint,
        );
    }
    let place = (fields.at(k::URL.name), fields.path_of(k::URL.name));
    let meant = url.map(|url| Upstream {
        name: name.clone(),
        scheme: url.scheme,
        host: url.host,
        port: url.port,
        base_path: url.base_path,
        key,
        forward_authorization,
        underscores_in_headers,
        organization,
        project,
        ca_file,
        protocol,
        pool,
        deadlines,
        dns,
        health,
        probe,
        streams,
    });
    Written { name, url: place, meant }
}

/// What goes with a key makes no sense without one, and the other way round.
fn key_rules(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    organization: bool,
    project: bool,
    forward: bool,
) {
    let has_key = fields.has(k::KEY.name);
    let with_key = [(organization, k::ORGANIZATION.name), (project, k::PROJECT.name)];
    for (_, name) in with_key.into_iter().filter(|(written, _)| *written && !has_key) {
        let what = "is sent with the key, and there is no `key`";
        reader.fault(
            fields.at(name),
            fields.path_of(name),
            what,
            "add the key, or remove the line",
        );
    }
    if forward && has_key {
        let name = k::FORWARD_AUTHORIZATION.name;
        let what = "can't be, since `key` replaces the client's authorization";
        reader.fault(fields.at(name), fields.path_of(name), what, "remove one of the two");
    }
}

fn pool(reader: &mut Reader<'_>, upstream: &Fields<'_>) -> Pool {
    let fields = reader.section(upstream, &k::POOL);
    let pool = Pool {
        min_connections: reader.get(&fields, &k::MIN_CONNECTIONS),
        max_connections: reader.get(&fields, &k::MAX_CONNECTIONS),
        streams_per_connection: reader.get(&fields, &k::STREAMS_PER_CONNECTION),
        max_age: reader.get(&fields, &k::MAX_AGE),
        max_requests: reader.get(&fields, &k::MAX_REQUESTS),
        ping_interval: reader.get(&fields, &k::PING_INTERVAL),
        ping_after: reader.get(&fields, &k::PING_AFTER),
        suspect_after: reader.get(&fields, &k::SUSPECT_AFTER),
        ping_timeout: reader.get(&fields, &k::PING_TIMEOUT),
        idle: reader.get(&fields, &k::POOL_IDLE),
        queue: reader.get(&fields, &k::QUEUE),
        queue_timeout: reader.get(&fields, &k::QUEUE_TIMEOUT),
        stream_window: reader.get(&fields, &k::STREAM_WINDOW),
        connection_window: reader.get(&fields, &k::CONNECTION_WINDOW),
    };
    let (min, max) = (pool.min_connections, pool.max_connections);
    if min > max {
        let name = k::MIN_CONNECTIONS.name;
        let what = format!("{min} is more than max_connections, {max}");
        let hint = format!("write at most {max}, or raise max_connections");
        reader.fault(fields.at(name), fields.path_of(name), what, hint);
    }
    if pool.stream_window > pool.connection_window {
        let name = k::STREAM_WINDOW.name;
        let what = "is larger than connection_window, which all streams share";
        reader.fault(fields.at(name), fields.path_of(name), what, "raise connection_window");
    }
    pool
}

fn deadlines(reader: &mut Reader<'_>, upstream: &Fields<'_>) -> UpstreamDeadlines {
    let fields = reader.section(upstream, &k::DEADLINES);
    UpstreamDeadlines {
        connect: reader.get(&fields, &k::CONNECT),
        response_head: reader.get(&fields, &k::RESPONSE_HEAD),
        first_frame: reader.get(&fields, &k::FIRST_FRAME),
        frame_gap: reader.get(&fields, &k::FRAME_GAP),
    }
}

fn dns(reader: &mut Reader<'_>, upstream: &Fields<'_>) -> Dns {
    let fields = reader.section(upstream, &k::DNS);
    Dns {
        interval: reader.get(&fields, &k::DNS_INTERVAL),
        stagger: reader.get(&fields, &k::DNS_STAGGER),
    }
}

fn health(reader: &mut Reader<'_>, upstream: &Fields<'_>) -> (HealthPolicy, Option<Probe>) {
    let fields = reader.section(upstream, &k::HEALTH);
    let health = HealthPolicy {
        consecutive_failures: reader.get(&fields, &k::CONSECUTIVE_FAILURES),
        failure_percent: reader.get(&fields, &k::FAILURE_PERCENT),
        slow_percent: reader.get(&fields, &k::SLOW_PERCENT),
        requests: reader.get(&fields, &k::HEALTH_REQUESTS),
        window: reader.get(&fields, &k::HEALTH_WINDOW),
        eject: reader.get(&fields, &k::EJECT),
        longest_eject: reader.get(&fields, &k::LONGEST_EJECT),
    };
    if health.eject > health.longest_eject {
        let name = k::EJECT.name;
        let what = "is longer than longest_eject";
        reader.fault(fields.at(name), fields.path_of(name), what, "raise longest_eject");
    }
    let probe = probe(reader, &fields);
    (health, probe)
}

/// All keys are read, so that a fault in one is found though nothing is asked.
fn probe(reader: &mut Reader<'_>, health: &Fields<'_>) -> Option<Probe> {
    let fields = reader.section(health, &k::PROBE);
    let path = reader.get(&fields, &k::PROBE_PATH);
    let interval = reader.get(&fields, &k::PROBE_INTERVAL);
    let timeout = reader.get(&fields, &k::PROBE_TIMEOUT);
    let failures = reader.get(&fields, &k::PROBE_FAILURES);
    let statuses = reader.get_many(&fields, &k::PROBE_STATUSES);
    let statuses = statuses.into_iter().map(|(_, one)| one).collect();
    path.map(|path| Probe { path, interval, timeout, failures, statuses })
}
