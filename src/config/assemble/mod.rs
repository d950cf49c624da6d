//! Tree → configuration as meant, and the rules that hold between keys.

mod clash;

pub(super) use self::clash::leads_back;
use super::file::fault::At;
use super::file::yaml::Node;
use super::key::reader::Reader;
use super::keys as k;
use super::names::Names;
use super::{
    Allowed, ClientDeadlines, Config, GroupId, Limits, Target, UpstreamId, group, route, upstream,
};

/// Builds the configuration; worth something only if the reader holds no fault afterwards.
pub(super) fn config(reader: &mut Reader<'_>, root: &Node) -> Option<Config> {
    let root = reader.open(&k::ROOT, root, String::new())?;
    let listen = reader.get_many(&root, &k::LISTEN);
    let admin = reader.get(&root, &k::ADMIN);
    clash::listeners(reader, &root, &listen, admin);
    let written = upstream::read(reader, &root);
    let listen: Vec<_> = listen.into_iter().map(|(_, address)| address).collect();
    for upstream in &written {
        clash::loops(reader, upstream, &listen);
    }
    let named = written.iter().enumerate();
    let upstreams = || named.clone().map(|(nth, one)| (one.name.as_str(), UpstreamId(nth)));
    let groups = group::read(reader, &root, &Names::new(upstreams()));
    let named = groups.iter().enumerate();
    let named = named.map(|(nth, one)| (one.name.as_str(), Target::Group(GroupId(nth))));
    let targets = upstreams().map(|(name, id)| (name, Target::Upstream(id))).chain(named);
    let routes = route::read(reader, &root, &Names::new(targets));
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
        client: ClientDeadlines::read(reader, &root),
        limits: Limits::read(reader, &root),
        via: reader.get(&root, &k::VIA),
        access_log: reader.get(&root, &k::ACCESS_LOG),
        reload: reader.get(&root, &k::RELOAD),
        upgrade_timeout: reader.get(&root, &k::UPGRADE_TIMEOUT),
    })
}

fn allowed(written: Vec<(At, Option<String>)>) -> Allowed {
    Allowed::of(written.into_iter().map(|(_, name)| name))
}
