//! `clients`: who may ask, each by a key of its own.

pub(super) mod allowance;
pub(super) mod events;
pub(super) mod expiry;
pub(super) mod group;
pub(super) mod key;
pub(super) mod prices;

use std::collections::HashMap;

use http::HeaderName;
use secrecy::ExposeSecret;

use self::allowance::{Allowance, Amount, BUDGET, LIMITS};
use self::events::{EventRights, PUBLISH, SUBSCRIBE};
use self::expiry::Expiry;
use self::group::{ClientGroup, ClientGroupId};
use self::key::{CERTIFICATE, DigestText, KeyDigest, SanText, TOO_SHORT, is_short};
use self::prices::{PRICES, Prices};
use super::key::reader::{Fields, Reader};
use super::key::{Key, Section, Shape};
use super::kind::many::Many;
use super::kind::optional::Optional;
use super::kind::scalar::Flag;
use super::kind::secret::Secret;
use super::models::{Glob, GlobText};
use super::names::{Names, RouteId, UpstreamName, fit_text};
use super::upstream::Written;

/// Where a client's key may stand.
const KEY_HEADERS: [&str; 3] = ["authorization", "x-api-key", "api-key"];

/// Clients at most. Each costs some hundred bytes.
const MOST: usize = 20_000;

pub(super) static CLIENTS: Section = Section {
    name: "clients",
    shape: Shape::List,
    required: false,
    doc: "Clients that may use the proxy, each with a key of its own. Without this section everybody \
          who reaches the listeners may; with it, requests without one of these keys are rejected with \
          401.",
    entries: &[
        &NAME,
        &KEY,
        &KEY_SHA256,
        &CERTIFICATE,
        &GROUP,
        &ROUTES,
        &MODELS,
        &PUBLISH,
        &SUBSCRIBE,
        &LIMITS,
        &BUDGET,
        &DISABLED,
        &EXPIRES,
    ],
};

static NAME: Key<UpstreamName> =
    Key::required("name", UpstreamName, "Name of the client in metrics, logs and error messages.");

static KEY: Key<Many<Secret>> = Key::new(
    "key",
    Many(Secret),
    "The client's key, which it sends as a bearer token, in `x-api-key` or in `api-key`. A list while \
     one key replaces another.",
);

static KEY_SHA256: Key<Many<DigestText>> = Key::new(
    "key_sha256",
    Many(DigestText),
    "SHA-256 of the key in hexadecimal, in place of `key`. `firstbyte key new NAME` makes both.",
);

static GROUP: Key<Optional<UpstreamName>> = Key::new(
    "group",
    Optional(UpstreamName),
    "Client group whose limits and budget hold for this client too, with those of its parents.",
);

static ROUTES: Key<Many<Optional<UpstreamName>>> = Key::new(
    "routes",
    Many(Optional(UpstreamName)),
    "Paths of the routes that the client may use; requests to others are rejected with 403. Without it \
     all of them.",
);

static MODELS: Key<Many<Optional<GlobText>>> = Key::new(
    "models",
    Many(Optional(GlobText)),
    "Models that the client may use, `*` standing for any text; requests for others are rejected with 403, \
     and those that send a body and name none with 400. The request's `model` is looked for in the body as it arrives.",
);

static DISABLED: Key<Flag> =
    Key::new("disabled", Flag { default: false }, "Reject the client's requests with 401.");

static EXPIRES: Key<Expiry> = Key::new(
    "expires",
    Expiry,
    "When the client's keys expire (UTC): a day, at whose end they do, or a day and time.",
);

/// One client as the operator wrote it. Its `Debug` shows no key.
#[derive(Debug, Clone, PartialEq)]
pub struct Client {
    /// The operator's name for it; no two have the same.
    pub name: String,
    /// SHA-256 of each of its keys.
    pub keys: Vec<KeyDigest>,
    /// Names in certificates that stand for it.
    pub certificates: Vec<String>,
    /// Whose limits hold for it too.
    pub group: Option<ClientGroupId>,
    /// Routes that it may use; `None`: all.
    pub routes: Option<Vec<RouteId>>,
    /// Models that it may use; `None`: all.
    pub models: Option<Vec<Glob>>,
    /// Names of events that it may use.
    pub events: EventRights,
    /// Its own limits and budget.
    pub allowance: Allowance,
    /// It may do nothing.
    pub disabled: bool,
    /// Unix time, in seconds, from which on it may do nothing.
    pub expires: Option<u64>,
}

impl Client {
    /// One of this name that may do everything, and has no key.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            keys: Vec::new(),
            certificates: Vec::new(),
            group: None,
            routes: None,
            models: None,
            events: EventRights::default(),
            allowance: Allowance::default(),
            disabled: false,
            expires: None,
        }
    }
}

/// What a client refers to.
pub(super) struct Known<'a> {
    pub(super) groups: &'a Names<'a, ClientGroupId>,
    pub(super) routes: &'a Names<'a, RouteId>,
}

/// Where each name and each key was seen first.
#[derive(Default)]
struct Seen {
    names: HashMap<String, usize>,
    keys: HashMap<KeyDigest, usize>,
    certificates: HashMap<String, usize>,
}

/// All of them, in the file's order. `None` where the section is not written: then nobody is asked who he is.
pub(super) fn read(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
    known: &Known<'_>,
) -> Option<Vec<Client>> {
    if !root.has(CLIENTS.name) {
        return None;
    }
    let mut seen = Seen::default();
    let mut clients = Vec::new();
    for fields in reader.long_list(root, &CLIENTS, MOST) {
        let nth = clients.len();
        let name = reader.get(&fields, &NAME);
        if fields.has(NAME.name) {
            fit_text(reader, fields.at(NAME.name), &name, &fields.path_of(NAME.name));
            let first = *seen.names.entry(name.clone()).or_insert(nth);
            once(reader, &fields, &NAME, first, nth, "the same name");
        }
        let keys = keys(reader, &fields, nth, &mut seen);
        let certificates = certificates(reader, &fields, nth, &mut seen);
        if keys.is_empty() && certificates.is_empty() && !written(&fields) {
            let what = format!(
                "has none of `{}`, `{}` and `{}`",
                KEY.name, KEY_SHA256.name, CERTIFICATE.name
            );
            reader.fault(
                fields.at,
                &*fields.path,
                what,
                "write one: `firstbyte key new NAME` makes a key",
            );
        }
        let group = reader.get(&fields, &GROUP);
        let group = group.and_then(|name| {
            known.groups.one_of(reader, fields.at(GROUP.name), &fields.path_of(GROUP.name), &name)
        });
        clients.push(Client {
            name,
            keys,
            certificates,
            group,
            routes: routes(reader, &fields, known.routes),
            models: models(reader, &fields),
            events: EventRights::read(reader, &fields),
            allowance: Allowance::read(reader, &fields),
            disabled: reader.get(&fields, &DISABLED),
            expires: reader.get(&fields, &EXPIRES),
        });
    }
    Some(clients)
}

/// Where a client proves itself by a key, no upstream may be sent the headers that it stands in: with that key whoever
/// runs the upstream could use the proxy.
pub(super) fn not_forwarded(
    reader: &mut Reader<'_>,
    clients: Option<&[Client]>,
    upstreams: &[Written],
) {
    if !clients.unwrap_or_default().iter().any(|client| !client.keys.is_empty()) {
        return;
    }
    for Written { name, url: (at, _), meant } in upstreams {
        let Some(meant) = meant else { continue };
        let named = |header: &HeaderName| KEY_HEADERS.contains(&header.as_str());
        let key = if meant.forward_authorization {
            "forward_authorization"
        } else if meant.outgoing.forward_headers.iter().any(named) {
            "forward_headers"
        } else {
            continue;
        };
        let what = "would send the keys of `clients` to this upstream";
        let hint =
            "remove it and set the upstream's own `key`, or name all clients by `certificate`";
        reader.fault(*at, format!("upstreams.{name}.{key}"), what, hint);
    }
}

/// What a client has begun it may read on, whatever routes it may use: streams are their owners' alone. `reading`: the
/// routes for that.
pub(super) fn may_read_streams(clients: &mut Option<Vec<Client>>, reading: &[RouteId]) {
    let limited = clients.iter_mut().flatten().filter_map(|client| client.routes.as_mut());
    for routes in limited {
        let more: Vec<_> = reading.iter().filter(|id| !routes.contains(id)).copied().collect();
        routes.extend(more);
    }
}

/// A budget in money is worth something only if every model has a price: nothing is used up by what costs nothing.
pub(super) fn priced(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
    clients: Option<&[Client]>,
    groups: &[ClientGroup],
    prices: &Prices,
) {
    let own = clients.unwrap_or_default().iter().map(|client| (&client.name, &client.allowance));
    let all = own.chain(groups.iter().map(|group| (&group.name, &group.allowance)));
    let mut in_money = all.filter(|(_, allowance)| {
        allowance.budgets.iter().any(|budget| matches!(budget.amount, Amount::NanoUsd(_)))
    });
    if let Some((name, _)) = in_money.next()
        && !prices.is_whole()
    {
        let what = format!("{name} has a budget in `usd`, and not every model has a price");
        let hint = "add a price for model \"*\", which holds for all others";
        reader.fault_in(root, &PRICES, what, hint);
    }
}

fn written(fields: &Fields<'_>) -> bool {
    [KEY.name, KEY_SHA256.name, CERTIFICATE.name].iter().any(|name| fields.has(name))
}

/// Of two that must differ, the second is told where the first is.
fn once(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: &dyn super::key::Entry,
    first: usize,
    nth: usize,
    what: &str,
) {
    if first != nth {
        let what = format!("the value is {what} as that of clients[{first}]");
        reader.fault_in(fields, key, what, "remove one of them");
    }
}

fn keys(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    nth: usize,
    seen: &mut Seen,
) -> Vec<KeyDigest> {
    let mut keys = Vec::new();
    if fields.has(KEY.name) {
        for (at, key) in reader.get_many(fields, &KEY) {
            let Some(key) = key else { continue };
            if is_short(&key) {
                let what = format!("the value {TOO_SHORT}");
                reader.warn(
                    at,
                    fields.path_of(KEY.name),
                    what,
                    "`firstbyte key new NAME` makes a key",
                );
            }
            let digest = KeyDigest::of(key.expose_secret().as_bytes());
            let first = *seen.keys.entry(digest).or_insert(nth);
            once(reader, fields, &KEY, first, nth, "the same key");
            keys.push(digest);
        }
    }
    if fields.has(KEY_SHA256.name) {
        for (_, digest) in reader.get_many(fields, &KEY_SHA256) {
            let Some(digest) = digest else { continue };
            let first = *seen.keys.entry(digest).or_insert(nth);
            once(reader, fields, &KEY_SHA256, first, nth, "the same key");
            keys.push(digest);
        }
    }
    keys
}

fn certificates(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    nth: usize,
    seen: &mut Seen,
) -> Vec<String> {
    let static_key: &Key<Many<SanText>> = &CERTIFICATE;
    let names: Vec<String> =
        reader.get_many(fields, static_key).into_iter().filter_map(|(_, name)| name).collect();
    for name in &names {
        let first = *seen.certificates.entry(name.clone()).or_insert(nth);
        once(reader, fields, static_key, first, nth, "the same name");
    }
    names
}

fn models(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Vec<Glob>> {
    if !fields.has(MODELS.name) {
        return None;
    }
    Some(reader.get_many(fields, &MODELS).into_iter().filter_map(|(_, glob)| glob).collect())
}

fn routes(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    known: &Names<'_, RouteId>,
) -> Option<Vec<RouteId>> {
    if !fields.has(ROUTES.name) {
        return None;
    }
    let path = fields.path_of(ROUTES.name);
    let named = reader.get_many(fields, &ROUTES);
    let found = named.into_iter().filter_map(|(at, name)| known.one_of(reader, at, &path, &name?));
    Some(found.collect())
}
