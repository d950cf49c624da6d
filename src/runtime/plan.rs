//! A configuration with all that is made of it away from the workers, checked: what a worker builds of it
//! cannot fail for a reason that lies in the configuration.

use std::sync::Arc;

use super::descriptors::capacity;
use super::error::StartError;
use crate::accept::Doors;
use crate::admit::{Admission, Directory, Sharing};
use crate::config::{Config, Glob, Scheme, Upstream, UpstreamId, shares_connections};
use crate::events::EventRoutes;
use crate::proxy::may_not_go_on;
use crate::record::{ClientsShown, Full, Hub, LabelIds};
use crate::relay::head::UpstreamHead;
use crate::streams::Registry;
use crate::transport::tls::client::{ClientTls, Roots, TlsDigest, TlsFiles};
use crate::upstream::{HeadLimit, ResolvedName, Resolver};

/// Shared by all workers, and kept until the next one is in force.
pub(super) struct Plan {
    pub(super) config: Arc<Config>,
    /// Where its routes and upstreams are counted.
    pub(super) label_ids: LabelIds,
    /// Who may come in, as all workers count it.
    pub(super) admission: Admission,
    /// Who asks, where that is to be known.
    pub(super) clients: Option<Arc<Directory>>,
    /// What is published on its routes.
    pub(super) events: EventRoutes,
    /// How clients' connections begin.
    pub(super) doors: Doors,
    /// Streams that are kept, as all workers have them.
    pub(super) streams: Arc<Registry>,
    descriptors: u64,
    links: Vec<Link>,
    /// Where all hosts are addresses there is none.
    resolver: Option<Resolver>,
}

/// What a plan is made on.
#[derive(Clone, Copy)]
pub(super) enum Baseline<'a> {
    /// The first one: so many descriptors may the process have.
    Descriptors(u64),
    /// One that follows another.
    Before(&'a Plan),
}

/// How one upstream is connected to.
#[derive(Clone)]
struct Link {
    trust: Trust,
    /// Shared by all workers: it is asked for once.
    name: ResolvedName,
}

/// What one upstream is trusted by and shown.
#[derive(Clone, Default)]
struct Trust {
    tls: Option<ClientTls>,
    /// A certificate that was replaced under the same name is another one.
    digest: TlsDigest,
}

/// A configuration that was checked and has no places yet: those are taken for good, so that one which is
/// refused must have none.
pub(super) struct CheckedConfig<'a> {
    config: Config,
    baseline: Baseline<'a>,
    trusts: Vec<Trust>,
    doors: Doors,
}

impl<'a> CheckedConfig<'a> {
    /// Blocks while certificates are read. What links trust as they did before is taken over.
    ///
    /// # Errors
    /// TLS toward clients or an upstream cannot be set up, or an upstream cannot be put into a request.
    pub(super) fn new(config: Config, baseline: Baseline<'a>) -> Result<Self, StartError> {
        for upstream in &config.upstreams {
            UpstreamHead::new(upstream, config.via)
                .map_err(|error| StartError::Upstream(upstream.name.clone(), error))?;
        }
        let mut roots = None;
        let mut trusts = Vec::with_capacity(config.upstreams.len());
        for upstream in &config.upstreams {
            trusts.push(trust(upstream, baseline.before(), &mut roots)?);
        }
        let doors = Doors::new(&config.listen);
        let doors = doors.map_err(|(address, error)| StartError::Door(address, error))?;
        Ok(Self { config, baseline, trusts, doors })
    }

    /// The places of all its names.
    ///
    /// # Errors
    /// There are too many; none was taken.
    pub(super) fn label_ids(&self, hub: &Hub) -> Result<LabelIds, Full> {
        let routes: Vec<_> = self.config.routes.iter().map(|route| &*route.path).collect();
        let upstreams: Vec<_> = self.config.upstreams.iter().map(|up| &*up.name).collect();
        let models: Vec<_> = self.config.models.iter().map(Glob::text).collect();
        hub.label_ids(&routes, &upstreams, &models)
    }

    /// Begins to resolve what is new.
    ///
    /// # Errors
    /// The thread that resolves names cannot be made.
    pub(super) fn plan(self, label_ids: LabelIds, hub: &Hub) -> Result<Plan, StartError> {
        let Self { config, baseline, trusts, doors } = self;
        hub.expect(&config, &label_ids);
        let before = baseline.before();
        let mut resolver = before.and_then(|before| before.resolver.clone());
        let mut links = Vec::with_capacity(trusts.len());
        for (index, (upstream, trust)) in config.upstreams.iter().zip(trusts).enumerate() {
            let id = UpstreamId(index);
            let name = match before.and_then(|before| before.resolves(upstream)) {
                Some(name) => name.clone(),
                None => ResolvedName::of(upstream, hub.dns(&label_ids, id), &mut resolver)
                    .map_err(|error| StartError::Io("start the DNS thread", error))?,
            };
            tell_way(upstream);
            links.push(Link { trust, name });
        }
        let (admission, descriptors) = match baseline {
            Baseline::Descriptors(most) => (Admission::new(&config, capacity(&config, most)), most),
            Baseline::Before(Plan { config: then, admission, descriptors, .. }) => {
                (admission.follow(then, &config, capacity(&config, *descriptors)), *descriptors)
            }
        };
        let known = before.and_then(|before| before.clients.as_deref());
        let sharing = config.redis.as_ref().map(|_| {
            let before = known.and_then(Directory::sharing);
            before.map_or_else(|| Arc::new(Sharing::new()), Arc::clone)
        });
        let clients = Directory::new(&config, known, sharing).map(Arc::new);
        let events = EventRoutes::new(&config.routes, before.map(|before| &before.events));
        let streams = streams(&config, before, &admission, hub);
        let config = Arc::new(config);
        Ok(Plan {
            config,
            label_ids,
            admission,
            clients,
            events,
            doors,
            streams,
            descriptors,
            links,
            resolver,
        })
    }
}

impl<'a> Baseline<'a> {
    fn before(self) -> Option<&'a Plan> {
        match self {
            Self::Descriptors(_) => None,
            Self::Before(before) => Some(before),
        }
    }
}

impl Plan {
    /// Pages show these clients, and what is published, from now on.
    pub(super) fn show_clients(&self, hub: &Hub) {
        let clients = self.clients.clone();
        hub.show_events(self.events.clone());
        hub.show_clients(clients.map(|clients| {
            Arc::new(move || clients.shown()) as Arc<dyn Fn() -> ClientsShown + Send + Sync>
        }));
    }

    /// What is published goes on under this plan, as far as it has it, and subscriptions as far as their clients may.
    pub(super) fn succeed_events(&self, before: &Plan) {
        self.events.succeed(&self.config.routes, &before.events, |route, seat| {
            may_not_go_on(self.clients.as_ref()?, route, seat)
        });
    }

    pub(super) fn name(&self, id: UpstreamId) -> Option<ResolvedName> {
        Some(self.links.get(id.0)?.name.clone())
    }

    pub(super) fn tls(&self, id: UpstreamId) -> Option<ClientTls> {
        self.links.get(id.0)?.trust.tls.clone()
    }

    /// What is taken of answers.
    pub(super) fn answer_heads(&self) -> HeadLimit {
        let limits = &self.config.limits;
        HeadLimit { bytes: limits.response_header_bytes, lines: limits.response_headers }
    }

    /// The upstream of `before` whose connections serve upstream `id` too. What is taken of answers was
    /// announced on them.
    pub(super) fn same_as(&self, id: UpstreamId, before: &Plan) -> Option<UpstreamId> {
        if self.answer_heads() != before.answer_heads() {
            return None;
        }
        let (upstream, link) = (self.config.upstreams.get(id.0)?, self.links.get(id.0)?);
        before.link(upstream, &link.trust.digest).map(|(id, _)| id)
    }

    fn link(&self, upstream: &Upstream, digest: &TlsDigest) -> Option<(UpstreamId, &Link)> {
        let mut known = self.config.upstreams.iter().zip(&self.links).enumerate();
        let same = |then: &Upstream, link: &Link| {
            shares_connections(then, upstream) && link.trust.digest == *digest
        };
        known
            .find(|(_, (then, link))| same(then, link))
            .map(|(index, (_, link))| (UpstreamId(index), link))
    }

    /// What is known of the name that `upstream` asks for. However else its connections are to differ, the
    /// addresses are the same: a reload while no name resolves must not forget them.
    fn resolves(&self, upstream: &Upstream) -> Option<&ResolvedName> {
        let dialed = |of: &Upstream| of.dials().0.to_owned();
        let asked = |of: &Upstream| (of.name.clone(), dialed(of), of.dials().1, of.socket.clone());
        let same = |then: &Upstream| asked(then) == asked(upstream) && then.dns == upstream.dns;
        let mut known = self.config.upstreams.iter().zip(&self.links);
        known.find(|(then, _)| same(then)).map(|(_, link)| &link.name)
    }
}

/// Those that are kept go on, whatever changed.
fn streams(
    config: &Config,
    before: Option<&Plan>,
    admission: &Admission,
    hub: &Hub,
) -> Arc<Registry> {
    if config.routes.iter().any(|route| route.resume.is_some()) {
        hub.streams().configured();
    }
    let before = before.map(|before| Arc::clone(&before.streams));
    before.unwrap_or_else(|| {
        let (pressure, meters) = (admission.pressure().clone(), Arc::clone(hub.streams()));
        Arc::new(Registry::new(pressure, meters))
    })
}

/// A variable that somebody set long ago may be why an upstream cannot be reached.
fn tell_way(upstream: &Upstream) {
    if let Some(proxy) = &upstream.proxy {
        tracing::info!(upstream = upstream.name, %proxy, "the upstream is reached through a proxy");
    }
}

/// What one upstream is trusted by. The platform's roots are read once, and only where somebody needs them.
fn trust(
    upstream: &Upstream,
    before: Option<&Plan>,
    roots: &mut Option<Roots>,
) -> Result<Trust, StartError> {
    if upstream.scheme == Scheme::Http {
        return Ok(Trust::default());
    }
    let failed = |error| StartError::Tls(upstream.name.clone(), error);
    let platform = match roots.take() {
        Some(read) => read,
        None => Roots::load().map_err(failed)?,
    };
    let platform = roots.insert(platform);
    let files = TlsFiles::read(upstream).map_err(failed)?;
    let digest = files.digest(platform);
    if let Some((_, link)) = before.and_then(|before| before.link(upstream, &digest)) {
        return Ok(link.trust.clone());
    }
    let tls = ClientTls::new(platform, upstream, &files).map_err(failed)?;
    Ok(Trust { tls: Some(tls), digest })
}
