//! The configuration as a whole: its sections, and the keys that stand beside them.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::access_log::{ACCESS_LOG, AccessLog};
use super::client::{CLIENT, ClientDeadlines};
use super::clients::group::{CLIENT_GROUPS, ClientGroup, ClientGroupId};
use super::clients::prices::{PRICES, Prices};
use super::clients::{self, CLIENTS, Client, Known};
use super::door::networks::{Networks, TRUSTED_PROXIES};
use super::door::{self, Listen, Listener};
use super::file::fault::Fault;
use super::file::yaml::Node;
use super::group::{self, GROUPS, Group};
use super::key::reader::{Fields, Reader};
use super::key::{Key, Section, Shape, reference};
use super::kind::optional::Optional;
use super::kind::path::Folder;
use super::kind::quantity::Span;
use super::kind::scalar::{Choice, Flag, Workers};
use super::limits::{LIMITS, Limits};
use super::listen::{self, ADMIN};
use super::log_format::{ACCESS_LOG_FORMAT, LogFormat};
use super::models::{self, Glob, ModelId, OTHER};
use super::names::{GroupId, Names, RouteId, Target, UpstreamId};
use super::privacy::{PRIVACY, Privacy};
use super::route::{self, ROUTES, Route};
use super::sharing::{REDIS, Redis};
use super::upstream::{self, UPSTREAMS, Upstream};
use super::web::{ADMIN_TOKEN, ALLOWED_HOSTS, ALLOWED_ORIGINS, Allowed};

pub(super) static ROOT: Section = Section {
    name: "",
    shape: Shape::One,
    required: true,
    doc: "Configuration of firstbyte.",
    entries: &[
        &Listen,
        &TRUSTED_PROXIES,
        &ADMIN,
        &ADMIN_TOKEN,
        &ALLOWED_HOSTS,
        &ALLOWED_ORIGINS,
        &WORKERS,
        &PIN,
        &ACCESS_LOG,
        &ACCESS_LOG_FORMAT,
        &VIA,
        &RELOAD,
        &UPGRADE_TIMEOUT,
        &STORE,
        &UPSTREAMS,
        &GROUPS,
        &ROUTES,
        &CLIENTS,
        &CLIENT_GROUPS,
        &PRICES,
        &PRIVACY,
        &REDIS,
        &CLIENT,
        &LIMITS,
    ],
};

static WORKERS: Key<Workers> = Key::new("workers", Workers, "Number of worker threads.");

static PIN: Key<Choice<Pinning>> = Key::new(
    "pin",
    Choice {
        of: &[("auto", Pinning::Auto), ("on", Pinning::On), ("off", Pinning::Off)],
        // With a neighbour on one of two cores, first bytes of pinned workers were much later than those of
        // workers that the kernel may move.
        default: Pinning::Auto,
    },
    "Whether each worker is pinned to a core. `auto`: only if the process has cores of its own, that is, it may \
     run on some of the machine's cores only, no CPU quota is smaller than these, and no other firstbyte may \
     run on them.",
);

static VIA: Key<Flag> = Key::new(
    "via",
    // RFC 9110, section 7.6.3: a proxy must send `Via`.
    Flag { default: true },
    "Add a `Via` header to requests and responses.",
);

static RELOAD: Key<Choice<ReloadOn>> = Key::new(
    "reload",
    Choice {
        of: &[("on_demand", ReloadOn::Demand), ("on_change", ReloadOn::Change)],
        // A file that is being edited is not meant yet: whoever changes it says when it is.
        default: ReloadOn::Demand,
    },
    "When the configuration is reloaded. `on_demand`: at SIGHUP and `POST /reload`. `on_change`: \
     also when this file, or a key or certificate file that it names, changes. A reload cuts no \
     request.",
);

static UPGRADE_TIMEOUT: Key<Span> = Key::new(
    "upgrade_timeout",
    // Ten connects that time out one after the other, and some; a process that is not ready by then
    // waits for an upstream that does not answer, and the one that runs is better.
    Span { default: Duration::from_secs(60) },
    "How long the new process started by SIGUSR2 may take to become ready. After that it is killed \
     and the old process continues.",
);

static STORE: Key<Optional<Folder>> = Key::new(
    "store",
    Optional(Folder),
    "Folder in which usage by client, model and day, balances of budgets and the state of limits are kept over \
     restarts. Without it they begin at 0 with each process. See usage.md.",
);

/// Everything the proxy needs to start. [`load`](super::load()), [`parse`](super::parse) and
/// [`from_env`](super::from_env) build it from checked input only. Its `Debug` shows no key.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect.
    pub listen: Vec<Listener>,
    /// Whose word about a client is believed.
    pub trusted_proxies: Networks,
    /// Where `/livez /readyz /metrics /stats` answer; `None` turns the listener off.
    pub admin: Option<SocketAddr>,
    /// What changes something by the admin listener needs this bearer token; without one it is refused where
    /// that listener is not on loopback.
    pub admin_token: Option<SecretString>,
    /// Names by which listeners on loopback may be asked, beside loopback's own.
    pub allowed_hosts: Allowed,
    /// Origins of web pages that may use the proxy.
    pub allowed_origins: Allowed,
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// Whether each is pinned to a core.
    pub pin: Pinning,
    /// Upstreams; [`UpstreamId`] is the index into this list.
    pub upstreams: Vec<Upstream>,
    /// Groups of upstreams; [`GroupId`] is the index into this list.
    pub groups: Vec<Group>,
    /// Path prefixes; the longest that matches on a segment boundary wins.
    pub routes: Vec<Route>,
    /// Who may ask; `None`: everybody who can.
    pub clients: Option<Vec<Client>>,
    /// Groups of clients; [`ClientGroupId`] is the index into this list.
    pub client_groups: Vec<ClientGroup>,
    /// Patterns over models' names that rules use; [`ModelId`](super::ModelId) is the index into this list.
    pub models: Vec<Glob>,
    /// What tokens cost.
    pub prices: Prices,
    /// What names end users; `None`: nothing is known to.
    pub privacy: Option<Privacy>,
    /// Where processes share the limits of clients; `None`: each counts by itself.
    pub redis: Option<Redis>,
    /// Deadlines toward clients.
    pub client: ClientDeadlines,
    /// Bounds on what a client may ask of us.
    pub limits: Limits,
    /// Whether `Via` is added to requests and answers.
    pub via: bool,
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// What its lines look like.
    pub access_log_format: LogFormat,
    /// When the file is read again.
    pub reload: ReloadOn,
    /// How long a successor may take to be ready before it is given up.
    pub upgrade_timeout: Duration,
    /// Where usage and balances are kept over restarts.
    pub store: Option<PathBuf>,
    /// What can be used and is likely not meant: told by `check`, at the start and at each reload.
    pub warnings: Vec<Fault>,
}

/// Whether workers are pinned to cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinning {
    /// Where the process has cores of its own.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// When a configuration file is read again, apart from SIGHUP and `POST /reload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadOn {
    /// Never.
    Demand,
    /// When it, or a file that it refers to, has changed.
    Change,
}

/// Builds the configuration; worth something only if the reader holds no fault afterwards.
pub(super) fn config(reader: &mut Reader<'_>, node: &Node) -> Option<Config> {
    let root = reader.open(&ROOT, node, String::new())?;
    Some(Config::read(reader, &root))
}

impl Config {
    /// `None` for an id of another configuration.
    pub fn upstream(&self, id: UpstreamId) -> Option<&Upstream> {
        self.upstreams.get(id.0)
    }

    /// As [`Config::upstream`].
    pub fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(id.0)
    }

    /// The upstreams of a target; none of [`Target::ByModel`], which is a route's to say, nor of what has none.
    pub fn members(&self, target: Target) -> impl Iterator<Item = UpstreamId> {
        let (one, group) = match target {
            Target::Upstream(id) => (Some(id), None),
            Target::Group(id) => (None, self.group(id)),
            Target::ByModel | Target::Events | Target::Streams => (None, None),
        };
        let members = group.into_iter().flat_map(|group| &group.members);
        one.into_iter().chain(members.map(|member| member.upstream))
    }

    /// Each with its id.
    pub fn upstreams_by_id(&self) -> impl Iterator<Item = (UpstreamId, &Upstream)> {
        self.upstreams.iter().enumerate().map(|(nth, upstream)| (UpstreamId(nth), upstream))
    }

    /// Each with its id.
    pub fn groups_by_id(&self) -> impl Iterator<Item = (GroupId, &Group)> {
        self.groups.iter().enumerate().map(|(nth, group)| (GroupId(nth), group))
    }

    /// The label of a model: the number of the best of all patterns. `None` for all others.
    pub fn model_label(&self, name: &str) -> Option<ModelId> {
        Glob::best(self.models.iter(), name).map(ModelId)
    }

    /// The labels by their numbers, and after them [`OTHER`].
    pub fn model_labels(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(Glob::text).chain([OTHER])
    }

    pub(super) fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Self {
        let listen = door::read(reader, root);
        let admin = reader.get(root, &ADMIN);
        listen::clashes(reader, root, &listen, admin);
        let written = upstream::read(reader, root);
        let listen: Vec<_> = listen.into_iter().map(|(_, listener)| listener).collect();
        for upstream in &written {
            listen::loops(reader, upstream, &listen);
        }
        let ids = written.iter().enumerate().map(|(nth, one)| (&*one.name, UpstreamId(nth)));
        let groups = group::read(reader, root, &Names::new(ids.clone()));
        let group_ids = groups.iter().enumerate().map(|(nth, one)| (&*one.name, GroupId(nth)));
        let targets = ids.map(|(name, id)| (name, Target::Upstream(id)));
        let targets = targets.chain(group_ids.map(|(name, id)| (name, Target::Group(id))));
        let routes = route::read(reader, root, &Names::new(targets), root.has(CLIENTS.name));
        upstream::endpoint::warn(reader, &written, &groups, &routes);
        let client_groups = clients::group::read(reader, root);
        let named = client_groups.iter().enumerate();
        let named = Names::new(named.map(|(nth, one)| (&*one.name, ClientGroupId(nth))));
        let paths = routes.iter().enumerate().map(|(nth, one)| (&*one.path, RouteId(nth)));
        let known = Known { groups: &named, routes: &Names::new(paths) };
        let mut clients = clients::read(reader, root, &known);
        let reading = routes.iter().enumerate().filter(|(_, one)| one.target == Target::Streams);
        let reading: Vec<_> = reading.map(|(nth, _)| RouteId(nth)).collect();
        clients::may_read_streams(&mut clients, &reading);
        let prices = Prices::read(reader, root);
        let of_clients = clients.iter().flatten().filter_map(|client| client.models.as_ref());
        let of_routes = routes.iter().filter_map(|route| route.models.as_ref());
        let of_routes = of_routes.flat_map(|models| models.rules().map(|(glob, _)| glob));
        let patterns = of_routes.chain(prices.iter().map(|price| &price.model));
        let patterns = patterns.chain(of_clients.flatten());
        let models = models::patterns(patterns);
        clients::not_forwarded(reader, clients.as_deref(), &written);
        clients::priced(reader, root, clients.as_deref(), &client_groups, &prices);
        let access_log = reader.get(root, &ACCESS_LOG);
        let access_log_format = LogFormat::read(reader, root);
        Self {
            listen,
            trusted_proxies: Networks::read(reader, root),
            admin,
            admin_token: reader.get(root, &ADMIN_TOKEN),
            allowed_hosts: Allowed::read(reader, root, &ALLOWED_HOSTS),
            allowed_origins: Allowed::read(reader, root, &ALLOWED_ORIGINS),
            workers: reader.get(root, &WORKERS),
            pin: reader.get(root, &PIN),
            upstreams: written.into_iter().filter_map(|upstream| upstream.meant).collect(),
            groups,
            routes,
            clients,
            client_groups,
            models,
            prices,
            privacy: Privacy::read(reader, root, (&access_log, &access_log_format)),
            redis: Redis::read(reader, root),
            client: ClientDeadlines::read(reader, root),
            limits: Limits::read(reader, root),
            via: reader.get(root, &VIA),
            access_log,
            access_log_format,
            reload: reader.get(root, &RELOAD),
            upgrade_timeout: reader.get(root, &UPGRADE_TIMEOUT),
            store: reader.get(root, &STORE),
            warnings: Vec::new(), // whoever made the reader has them
        }
    }
}

/// The JSON Schema (draft 2020-12) of the configuration file, as shipped in
/// `docs/firstbyte.schema.json`; ends with a line break.
pub fn json_schema() -> String {
    reference::json_schema(&ROOT)
}

/// The table of `docs/configuration.md` in Markdown, one row for each key, in the order of the
/// file; ends with a line break.
pub fn key_table() -> String {
    reference::key_table(&ROOT)
}
