//! `redis`: where processes share the limits of clients.

mod address;
mod prefix;

use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};

pub use self::address::RedisAddress;
use self::address::RedisUrl;
use self::prefix::PrefixText;
use super::file::fault::Complaint;
use super::key::reader::{Fields, Reader};
use super::key::{Key, Section, Shape};
use super::kind::optional::Optional;
use super::kind::pem::PemFile;
use super::kind::quantity::{Count, Span};
use super::kind::scalar::{Choice, Flag};
use super::kind::secret::{HeaderText, SecretText};

pub(super) static REDIS: Section = Section {
    name: "redis",
    shape: Shape::One,
    required: false,
    doc: "Redis or Valkey, by which several processes share the limits and budgets of `clients` and \
          `client_groups`, kept streams and named events. Without this section each process is by itself.",
    entries: &[
        &URL,
        &CLUSTER,
        &USERNAME,
        &PASSWORD,
        &CA_FILE,
        &CLIENT_CERTIFICATE,
        &CLIENT_KEY,
        &DATABASE,
        &PREFIX,
        &EXACT,
        &TIMEOUT,
        &ON_LOSS,
    ],
};

static URL: Key<RedisUrl> = Key::required(
    "url",
    RedisUrl,
    "Server: `redis://HOST:PORT`, `rediss://HOST:PORT` for TLS, or `unix:/SOCKET`. The port is 6379 by \
     default.",
);

static CLUSTER: Key<Flag> = Key::new(
    "cluster",
    Flag { default: false },
    "The server is a node of a cluster: find the others through it. The keys of one limit have a hash \
     tag and so are on one node.",
);

static USERNAME: Key<HeaderText> = Key::new("username", HeaderText, "Name of the ACL user.");

static PASSWORD: Key<Optional<SecretText>> =
    Key::new("password", Optional(SecretText), "Password: `${VAR}` or `file:PATH`.");

static CA_FILE: Key<PemFile> = Key::new(
    "ca_file",
    PemFile,
    "File of the certificates that are trusted (PEM), in place of the system's.",
);

static CLIENT_CERTIFICATE: Key<PemFile> = Key::new(
    "client_certificate",
    PemFile,
    "File of the certificate, and its chain, that the server is shown if it asks for one (PEM). It needs \
     `client_key`.",
);

static CLIENT_KEY: Key<PemFile> =
    Key::new("client_key", PemFile, "File of the private key of `client_certificate` (PEM).");

static DATABASE: Key<Count<u32>> =
    Key::new("database", Count { default: 0, within: 0..=65_535 }, "Number of the database.");

static PREFIX: Key<PrefixText> = Key::new(
    "prefix",
    PrefixText { default: "firstbyte" },
    "Beginning of all keys. Processes share if they have the same server and the same prefix.",
);

static EXACT: Key<Flag> = Key::new(
    "exact",
    // The first byte must not wait for a third party unless somebody wants that.
    Flag { default: false },
    "`false`: each process decides by itself, on a share that it renews every 100 ms. `true`: ask the \
     server before each request of a client that has limits; one round trip.",
);

static TIMEOUT: Key<Span> = Key::new(
    "timeout",
    // Ten round trips within a region, and some; less than anybody notices in front of a model's first token.
    Span { default: Duration::from_millis(50) },
    "Time to wait for the server before a request, with `exact`. The regular exchange is given up after \
     ten times as long. What then happens, `on_loss` says.",
);

static ON_LOSS: Key<Choice<OnLoss>> = Key::new(
    "on_loss",
    Choice {
        of: &[("local", OnLoss::Local), ("deny", OnLoss::Deny), ("allow", OnLoss::Allow)],
        // An outage of Redis is no outage of the API, and no free ride.
        default: OnLoss::Local,
    },
    "While the server cannot be used. `local`: each process enforces its part of each limit, the limit \
     divided by the number of processes last seen. `deny`: reject requests of clients that have limits. \
     `allow`: accept them.",
);

/// Where and how limits are shared. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Redis {
    /// Where the server is.
    pub address: RedisAddress,
    /// It is one of a cluster.
    pub cluster: bool,
    /// ACL user.
    pub username: Option<String>,
    /// And password.
    pub password: Option<SecretString>,
    /// Who is trusted over TLS, in PEM; `None`: whom the system trusts.
    pub authority: Option<Vec<u8>>,
    /// What it is shown: certificates and a key, in PEM.
    pub client: Option<(Vec<u8>, SecretString)>,
    /// Number of the database.
    pub database: u32,
    /// How all keys begin.
    pub prefix: String,
    /// Each request is decided there.
    pub exact: bool,
    /// How long a request waits for that.
    pub timeout: Duration,
    /// What holds while it cannot be used.
    pub on_loss: OnLoss,
}

/// What holds for clients with limits while nobody knows what others took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLoss {
    /// Each process has its part of each limit.
    Local,
    /// They are rejected.
    Deny,
    /// They are accepted.
    Allow,
}

impl PartialEq for Redis {
    fn eq(&self, other: &Self) -> bool {
        let shown = |of: &Self| format!("{of:?}");
        let password = |of: &Self| of.password.as_ref().map(|one| one.expose_secret().to_owned());
        let key = |of: &Self| of.client.as_ref().map(|(_, key)| key.expose_secret().to_owned());
        (shown(self), password(self), key(self)) == (shown(other), password(other), key(other))
    }
}

impl Redis {
    /// `None` where the section is not written.
    pub(super) fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Option<Self> {
        if !root.has(REDIS.name) {
            return None;
        }
        let fields = reader.section(root, &REDIS);
        if cfg!(not(feature = "redis")) {
            let hint = "build it with the feature, or remove the section";
            let what = "cannot be used: this program was built without the feature `redis`";
            reader.fault(fields.at, REDIS.name, what, hint);
        }
        let address = reader.get(&fields, &URL);
        let authority = reader.get(&fields, &CA_FILE).map(|(_, pem)| pem);
        let is_tls = matches!(address, Some(RedisAddress::Tcp { tls: true, .. }));
        if is_tls && authority.as_ref().is_some_and(|pem| !has_certificate(pem)) {
            let what = "names a file that contains no certificate";
            reader.fault_in(&fields, &CA_FILE, what, "write the path of a PEM file");
        }
        let client = client(reader, &fields, address.as_ref());
        let cluster = reader.get(&fields, &CLUSTER);
        let database = reader.get(&fields, &DATABASE);
        if cluster && database > 0 {
            let what = "is not 0, and a cluster has only database 0";
            reader.fault_in(&fields, &DATABASE, what, "remove the line");
        }
        if cluster && matches!(address, Some(RedisAddress::Unix(_))) {
            let what = "is a Unix socket, and a cluster's nodes are found by their addresses";
            reader.fault_in(&fields, &URL, what, "write redis://HOST:PORT of one node");
        }
        Some(Self {
            address: address?,
            cluster,
            username: reader.get(&fields, &USERNAME),
            password: reader.get(&fields, &PASSWORD),
            authority,
            client,
            database,
            prefix: reader.get(&fields, &PREFIX),
            exact: reader.get(&fields, &EXACT),
            timeout: reader.get(&fields, &TIMEOUT),
            on_loss: reader.get(&fields, &ON_LOSS),
        })
    }
}

fn client(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    address: Option<&RedisAddress>,
) -> Option<(Vec<u8>, SecretString)> {
    let certificate = reader.get(fields, &CLIENT_CERTIFICATE).map(|(_, pem)| pem);
    let key = reader.get(fields, &CLIENT_KEY).map(|(_, pem)| pem);
    for (one, other) in [(&CLIENT_CERTIFICATE, &CLIENT_KEY), (&CLIENT_KEY, &CLIENT_CERTIFICATE)] {
        if fields.has(one.name) && !fields.has(other.name) {
            let what = format!("needs `{}`, and there is none", other.name);
            reader.fault_in(fields, one, what, "add the key, or remove the line");
        }
    }
    if address.is_some_and(|address| !matches!(address, RedisAddress::Tcp { tls: true, .. })) {
        for key in [&CA_FILE, &CLIENT_CERTIFICATE, &CLIENT_KEY] {
            if fields.has(key.name) {
                let hint = "write rediss:// in the URL, or remove the line";
                reader.fault_in(fields, key, "has no effect without TLS", hint);
            }
        }
    }
    let (certificate, key) = (certificate?, key?);
    if !has_certificate(&certificate) {
        let what = "names a file that contains no certificate";
        reader.fault_in(fields, &CLIENT_CERTIFICATE, what, "write the path of a PEM file");
    }
    match String::from_utf8(key) {
        Ok(key) if PrivateKeyDer::from_pem_slice(key.as_bytes()).is_ok() => {
            Some((certificate, SecretString::from(key)))
        }
        _ => {
            let what = "names a file that contains no private key";
            reader.fault_in(fields, &CLIENT_KEY, what, "write the path of a PEM file");
            None
        }
    }
}

fn has_certificate(pem: &[u8]) -> bool {
    let mut all = CertificateDer::pem_slice_iter(pem).peekable();
    all.peek().is_some() && all.all(|one| one.is_ok())
}

/// What a value is not, and the way out.
fn refuse<T>(what: &str, hint: &str) -> Result<T, Complaint> {
    Err(Complaint::about_a_secret(what, hint))
}
