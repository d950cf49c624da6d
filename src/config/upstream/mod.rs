//! `upstreams`: model APIs, each under a name of the operator's.

pub(super) mod deadlines;
pub(super) mod dns;
pub(in crate::config) mod egress;
pub(super) mod endpoint;
pub(super) mod health;
pub(super) mod outgoing;
pub(super) mod pool;
pub(super) mod probe;
pub(super) mod redirects;
pub(super) mod tls;
pub(super) mod url;

use std::path::PathBuf;

use secrecy::SecretString;

use self::deadlines::{DEADLINES, UpstreamDeadlines};
use self::dns::{DNS, Dns};
use self::egress::{Egress, PROXY};
use self::health::{HEALTH, HealthPolicy};
use self::outgoing::{
    AUTH_HEADER, Beside, FORWARD_AUTHORIZATION, FORWARD_HEADERS, FORWARD_QUERY, HEADERS, Outgoing,
    QUERY,
};
use self::pool::{POOL, Pool};
use self::probe::Probe;
use self::redirects::{REDIRECTS, Redirects};
use self::tls::{CA_FILE, CLIENT_CERTIFICATE, CLIENT_KEY, PIN_SHA256, SERVER_NAME, UpstreamTls};
use self::url::{HostText, Scheme, UpstreamUrl, Url};
use super::adapt::{ADAPT, Adapt};
use super::file::fault::At;
use super::key::reader::{Fields, Reader};
use super::key::{Key, Section, Shape};
use super::kind::optional::Optional;
use super::kind::quantity::Count;
use super::kind::scalar::{Choice, Flag};
use super::kind::secret::{HeaderText, Secret};
use super::limits::MOST;
use super::names::fit_name;

pub(super) static UPSTREAMS: Section = Section {
    name: "upstreams",
    shape: Shape::Named,
    required: true,
    doc: "Model APIs that requests are forwarded to, each under a name that logs and metrics use. \
        A name has letters, digits, `_`, `.` and `-`.",
    entries: &[
        &URL,
        &KEY,
        &AUTH_HEADER,
        &ORGANIZATION,
        &PROJECT,
        &HEADERS,
        &QUERY,
        &FORWARD_AUTHORIZATION,
        &FORWARD_HEADERS,
        &FORWARD_QUERY,
        &UNDERSCORES_IN_HEADERS,
        &FORWARDED,
        &REDIRECTS,
        &PROTOCOL,
        &HOST,
        &CA_FILE,
        &SERVER_NAME,
        &PIN_SHA256,
        &CLIENT_CERTIFICATE,
        &CLIENT_KEY,
        &PROXY,
        &POOL,
        &DEADLINES,
        &DNS,
        &HEALTH,
        &LIMITS,
    ],
};

static URL: Key<UpstreamUrl> = Key::required(
    "url",
    UpstreamUrl,
    "URL of the API: `https://` or `http://`, host, port if it is not the default one, and path; or \
     `http://unix:/SOCKET:/PATH` for a Unix socket. A path replaces the route's prefix; without a \
     path, the client's path is forwarded unchanged. A query is added to every request.",
);

static KEY: Key<Secret> = Key::new(
    "key",
    Secret,
    "API key. It is sent as a bearer token, or in `auth_header`, and replaces every credential of \
     the client's.",
);

static ORGANIZATION: Key<HeaderText> =
    Key::new("organization", HeaderText, "Value of `OpenAI-Organization`, sent with the key.");

static PROJECT: Key<HeaderText> =
    Key::new("project", HeaderText, "Value of `OpenAI-Project`, sent with the key.");

static UNDERSCORES_IN_HEADERS: Key<Flag> = Key::new(
    "underscores_in_headers",
    // As nginx: no SDK and no API has a header with an underscore, and CGI-like servers mistake one for the
    // same name with a hyphen.
    Flag { default: false },
    "Forward request headers whose names contain underscores. By default they are dropped, as \
     nginx does, because CGI-like servers read `Content_Length` as `Content-Length`.",
);

static FORWARDED: Key<Choice<Forwarded>> = Key::new(
    "forwarded",
    Choice {
        of: &[("off", Forwarded::Off), ("set", Forwarded::Set), ("append", Forwarded::Append)],
        // Who its clients are is nothing that a model API needs to know.
        default: Forwarded::Off,
    },
    "Headers that tell the upstream about the client: `x-forwarded-for`, `x-forwarded-proto`, \
     `x-forwarded-host`. `set`: with the client's own address. `append`: what a trusted proxy \
     sent, with that proxy's address added. For upstreams of your own only.",
);

static PROTOCOL: Key<Choice<Protocol>> = Key::new(
    "protocol",
    Choice {
        of: &[("auto", Protocol::Auto), ("http1", Protocol::Http1), ("http2", Protocol::Http2)],
        default: Protocol::Auto,
    },
    "HTTP version. `auto`: over TLS the version negotiated by ALPN, without TLS HTTP/1.1. `http2` \
     without TLS uses prior knowledge.",
);

static HOST: Key<HostText> = Key::new(
    "host",
    HostText,
    "Value of the `host` header (HTTP/2: `:authority`), in place of the URL's host and port.",
);

static LIMITS: Section = Section {
    name: "limits",
    shape: Shape::One,
    required: false,
    doc: "Limits of this upstream.",
    entries: &[&STREAMS, &ADAPT],
};

static STREAMS: Key<Optional<Count<usize>>> = Key::new(
    "streams",
    Optional(Count::within(1..=MOST)),
    "Maximum number of requests in flight to this upstream, over all workers. More fail over to \
     another member of the group, or are rejected with 503.",
);

/// One model API.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The operator's name for it; a metric label and a log field.
    pub name: String,
    /// Whether the connection is TLS, and how HTTP is spoken on it.
    pub scheme: Scheme,
    /// Host as written in the URL, without brackets or port.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The Unix socket that is connected to instead.
    pub socket: Option<PathBuf>,
    /// The HTTP proxy that leads to it.
    pub proxy: Option<Egress>,
    /// The URL's path without a trailing slash; empty where the URL names none. As in nginx's
    /// `proxy_pass`: a path replaces the route's prefix, none leaves the client's path as it is.
    pub base_path: String,
    /// Key that replaces the client's credentials.
    pub key: Option<SecretString>,
    /// Forward the client's own credentials where no key is set.
    pub forward_authorization: bool,
    /// What else it is sent, and which of the client's credentials it sees all the same.
    pub outgoing: Outgoing,
    /// What becomes of its redirects.
    pub redirects: Redirects,
    /// Whether request headers go there whose names have underscores.
    pub underscores_in_headers: bool,
    /// What the upstream is told of the client.
    pub forwarded: Forwarded,
    /// `OpenAI-Organization` to send with our key.
    pub organization: Option<String>,
    /// `OpenAI-Project` to send with our key.
    pub project: Option<String>,
    /// Said in `host` or `:authority` in place of the URL's host and port.
    pub host_header: Option<String>,
    /// Extra trusted certificates in PEM, for this upstream only.
    pub ca_file: Option<PathBuf>,
    /// What else it is trusted by over TLS, and what it is shown.
    pub tls: UpstreamTls,
    /// Protocol rule.
    pub protocol: Protocol,
    /// Sizes and lives of the pool, per worker.
    pub pool: Pool,
    /// Deadlines toward this upstream.
    pub deadlines: UpstreamDeadlines,
    /// How its name leads to connections.
    pub dns: Dns,
    /// When its groups leave it out.
    pub health: HealthPolicy,
    /// What is asked of it to know whether it is well; nothing by default.
    pub probe: Option<Probe>,
    /// Requests in flight to it at once, over all workers, those that wait for a stream included;
    /// beyond it the next of its group, or 503. `None`: no bound of its own.
    pub streams: Option<usize>,
    /// A bound that follows the first byte and what the upstream says of its own limits, under the other one.
    pub adapt: Option<Adapt>,
}

/// What an upstream is told of the client: `x-forwarded-for`, `x-forwarded-proto`, `x-forwarded-host`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// Nothing.
    Off,
    /// Who it is, in our words alone.
    Set,
    /// The same, after what trusted proxies said.
    Append,
}

/// How HTTP is spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TLS: ALPN offers `h2` and `http/1.1`. Clear: HTTP/1.1.
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only; in clear, with prior knowledge (RFC 9113, section 3.3).
    Http2,
}

/// An upstream as it stands in the file. Its name counts even where the rest is faulty, so that
/// a route that leads there is not accused as well.
pub(in crate::config) struct Written {
    pub(in crate::config) name: String,
    /// Where the URL stands, and its dotted path.
    pub(in crate::config) url: (At, String),
    /// `None` where the URL is missing or faulty.
    pub(in crate::config) meant: Option<Upstream>,
}

/// All of them, in the file's order, which is the order of their ids.
pub(super) fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Vec<Written> {
    let mut upstreams = Vec::new();
    for (name, fields) in reader.named(root, &UPSTREAMS) {
        fit_name(reader, name, &fields);
        let url = reader.get(&fields, &URL);
        let place = (fields.at(URL.name), fields.path_of(URL.name));
        let meant = Upstream::read(reader, &fields, &name.text, url);
        upstreams.push(Written { name: name.text.clone(), url: place, meant });
    }
    upstreams
}

impl Upstream {
    /// All keys are read, so that a fault in one is found though there is no URL.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        fields: &Fields<'_>,
        name: &str,
        url: Option<Url>,
    ) -> Option<Self> {
        let key = reader.get(fields, &KEY);
        let organization = reader.get(fields, &ORGANIZATION);
        let project = reader.get(fields, &PROJECT);
        let forward_authorization = reader.get(fields, &FORWARD_AUTHORIZATION);
        let url_query = url.as_ref().and_then(|url| url.query.as_ref());
        let has_key = fields.has(KEY.name);
        let beside = Beside { has_key, forward_authorization, url_query };
        let outgoing = Outgoing::read(reader, fields, beside);
        let underscores_in_headers = reader.get(fields, &UNDERSCORES_IN_HEADERS);
        let forwarded = reader.get(fields, &FORWARDED);
        let redirects = reader.get(fields, &REDIRECTS);
        let protocol = reader.get(fields, &PROTOCOL);
        let host_header = reader.get(fields, &HOST);
        let ca_file = reader.get(fields, &CA_FILE).map(|(path, _)| path);
        let proxy = Egress::read(reader, fields, url.as_ref());
        let tls = UpstreamTls::read(reader, fields, url.as_ref().map(|url| url.scheme));
        let pool = Pool::read(reader, fields);
        let deadlines = UpstreamDeadlines::read(reader, fields);
        let dns = Dns::read(reader, fields);
        let health = reader.section(fields, &HEALTH);
        let (health, probe) = (HealthPolicy::read(reader, &health), Probe::read(reader, &health));
        let limits = reader.section(fields, &LIMITS);
        let streams = reader.get(&limits, &STREAMS);
        let adapt = Adapt::read(reader, &limits, streams);
        key_rules(reader, fields, organization.is_some(), project.is_some(), forward_authorization);
        let Url { scheme, host, port, socket, base_path, query: _ } = url?;
        Some(Self {
            name: name.to_owned(),
            scheme,
            host,
            port,
            socket,
            proxy,
            base_path,
            key,
            forward_authorization,
            outgoing,
            redirects,
            underscores_in_headers,
            forwarded,
            organization,
            project,
            host_header,
            ca_file,
            tls,
            protocol,
            pool,
            deadlines,
            dns,
            health,
            probe,
            streams,
            adapt,
        })
    }
}

/// What goes with a key makes no sense without one, and the other way round.
fn key_rules(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    organization: bool,
    project: bool,
    forward: bool,
) {
    let has_key = fields.has(KEY.name);
    let with_key = [(organization, &ORGANIZATION), (project, &PROJECT)];
    for (_, key) in with_key.into_iter().filter(|(written, _)| *written && !has_key) {
        let what = "is sent together with `key`, and there is no `key`";
        reader.fault_in(fields, key, what, "add the key, or remove the line");
    }
    if forward && has_key {
        let what = "can't be used together with `key`, which replaces the client's authorization";
        reader.fault_in(fields, &FORWARD_AUTHORIZATION, what, "remove one of the two");
    }
}

impl Upstream {
    /// Whom we connect to, where it is no Unix socket: the upstream, or the proxy before it.
    pub fn dials(&self) -> (&str, u16) {
        match &self.proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (&self.host, self.port),
        }
    }

    /// Host and port as one text, for CONNECT (RFC 9110, section 9.3.6).
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}
