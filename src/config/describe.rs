//! A configuration in words: what `firstbyte check` prints and what is logged at the start.

use std::fmt::Write as _;

use super::access_log::show_log;
use super::door::Listener;
use super::group::Group;
use super::group::failover_on::show_triggers;
use super::group::hedge::Hedge;
use super::group::members::Member;
use super::group::pick::show_pick;
use super::kind::quantity::show_duration;
use super::models::ByModel;
use super::names::{Target, UpstreamId};
use super::root::Config;
use super::upstream::url::Scheme;
use super::upstream::{Protocol, Upstream};

/// One line for the listeners, one for each route and each member of the group that it leads to, one
/// for each upstream and group that no route leads to. Ends without a line break and shows no key.
pub fn describe(config: &Config) -> String {
    let listen: Vec<_> = config.listen.iter().map(listener).collect();
    let admin = config.admin.map_or_else(|| "off".to_owned(), |admin| admin.to_string());
    let log = show_log(&config.access_log);
    let (workers, s) = (config.workers, if config.workers.get() == 1 { "" } else { "s" });
    let mut text = format!(
        "listen {}, admin {admin}, {workers} worker{s}, access log {log}",
        listen.join(", ")
    );
    for route in &config.routes {
        match &route.models {
            None => leads_to(&mut text, config, &route.path, route.target),
            Some(models) => by_model(&mut text, config, &route.path, models),
        }
    }
    for (id, group) in config.groups_by_id() {
        if !leads(config, Target::Group(id)) {
            let _ = write!(text, "\nno route leads to group {}", group.name); // a String takes all
        }
    }
    for (id, upstream) in config.upstreams_by_id() {
        if !is_reached(config, id) {
            let _ = write!(text, "\nno route leads to {}", one(upstream));
        }
    }
    text
}

fn listener(listener: &Listener) -> String {
    let Listener { address, mode: _, proxy_protocol, tls } = listener;
    let mut text = address.to_string();
    if *proxy_protocol {
        text.push_str(" (PROXY protocol required)");
    }
    if let Some(tls) = tls {
        let files = tls.pairs.iter().map(|pair| pair.certificate.display().to_string());
        let _ = write!(text, " (TLS with {}", files.collect::<Vec<_>>().join(", "));
        text.push_str(match &tls.clients {
            None => ")",
            Some(clients) if clients.required => ", client certificates required)",
            Some(_) => ", client certificates optional)",
        });
    }
    text
}

fn leads(config: &Config, target: Target) -> bool {
    config.routes.iter().any(|route| route.targets().any(|leads| leads == target))
}

/// A route leads to it, or to a group that it is in.
fn is_reached(config: &Config, id: UpstreamId) -> bool {
    let in_group = |group: &Group| group.members.iter().any(|member| member.upstream == id);
    let mut groups = config.groups_by_id();
    leads(config, Target::Upstream(id))
        || groups.any(|(id, group)| in_group(group) && leads(config, Target::Group(id)))
}

/// One line for each pattern.
fn by_model(text: &mut String, config: &Config, path: &str, models: &ByModel) {
    for (glob, target) in models.rules() {
        leads_to(text, config, &format!("{path}, model {}", glob.text()), target);
    }
    match models.otherwise {
        Some(target) => leads_to(text, config, &format!("{path}, otherwise"), target),
        None => {
            let _ = write!(text, "\n{path}, otherwise → rejected with 404");
        }
    }
}

fn leads_to(text: &mut String, config: &Config, path: &str, target: Target) {
    match target {
        Target::Upstream(id) => {
            if let Some(upstream) = config.upstream(id) {
                let _ = write!(text, "\n{path} → {}", one(upstream));
            }
        }
        Target::ByModel => {}
        Target::Events => {
            let _ = write!(text, "\n{path} → named events");
        }
        Target::Streams => {
            let _ = write!(text, "\n{path} → responses kept by routes with resume");
        }
        Target::Group(id) => {
            let Some(group) = config.group(id) else { return };
            let (pick, on) = (show_pick(&group.pick), show_triggers(&group.failover_on));
            let hedge = group.hedge.as_ref().map(show_hedge).unwrap_or_default();
            let name = &group.name;
            let _ = write!(text, "\n{path} → group {name} ({pick}, fails over on {on}{hedge})");
            for member in &group.members {
                if let Some(upstream) = config.upstream(member.upstream) {
                    let Member { tier, weight, .. } = member;
                    let _ = write!(text, "\n  tier {tier}, weight {weight}: {}", one(upstream));
                }
            }
        }
    }
}

fn show_hedge(hedge: &Hedge) -> String {
    let Hedge { quantile, budget, .. } = hedge;
    let (floor, ceiling) = (show_duration(hedge.floor), show_duration(hedge.ceiling));
    format!(
        ", hedges up to {budget} % of requests after p{quantile}, {floor} to {ceiling}; a \
         cancelled request may be billed"
    )
}

fn one(upstream: &Upstream) -> String {
    let Upstream { name, pool, deadlines, .. } = upstream;
    let protocol = match (upstream.protocol, upstream.scheme) {
        (Protocol::Auto, Scheme::Https) => "h2 or http/1.1 by ALPN",
        (Protocol::Auto | Protocol::Http1, _) => "http/1.1",
        (Protocol::Http2, Scheme::Https) => "h2",
        (Protocol::Http2, Scheme::Http) => "h2 with prior knowledge",
    };
    let set = match upstream.outgoing.auth_header.as_str() {
        "authorization" => "key set".to_owned(),
        other => format!("key set in {other}"),
    };
    let key = match (&upstream.key, upstream.forward_authorization) {
        (Some(_), _) if upstream.scheme == Scheme::Http => format!("{set}, sent without TLS"),
        (Some(_), _) => set,
        (None, true) => "the client's key forwarded".to_owned(),
        (None, false) => "no key".to_owned(),
    };
    let way = match &upstream.proxy {
        Some(proxy) => format!(", through the proxy {proxy}"),
        None => String::new(),
    };
    format!(
        "{name}: {} ({protocol}, {key}{way}, {}–{} connections of {} streams per worker, response head \
         within {})",
        url(upstream),
        pool.min_connections,
        pool.max_connections,
        pool.streams_per_connection,
        show_duration(deadlines.response_head),
    )
}

/// The upstream's URL, with its port only where it is not the scheme's own.
fn url(upstream: &Upstream) -> String {
    let (scheme, usual) = match upstream.scheme {
        Scheme::Http => ("http", 80),
        Scheme::Https => ("https", 443),
    };
    if let Some(socket) = &upstream.socket {
        return format!("{scheme}://unix:{}:{}", socket.display(), upstream.base_path);
    }
    let host = &upstream.host;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let port = if upstream.port == usual { String::new() } else { format!(":{}", upstream.port) };
    // Its values may be secrets.
    let query = if upstream.outgoing.url_query.is_some() { "?…" } else { "" };
    format!("{scheme}://{host}{port}{}{query}", upstream.base_path)
}
