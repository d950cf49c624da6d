//! All clients of a configuration.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName};

use super::caller::Caller;
use super::clock::{Clock, unix};
use super::known::KnownKey;
use super::spending::Spending;
use crate::admit::quota::{Limiter, Now, Sharing, State, measures};
use crate::config::{Allowance, Client, ClientGroupId, Config, KeyDigest, Prices, Proof};
use crate::error::Kind;

static API_KEYS: [HeaderName; 2] =
    [HeaderName::from_static("x-api-key"), HeaderName::from_static("api-key")];

const MISSING: Kind = Kind::InvalidKey(
    "The request has no API key; send yours as a bearer token (`Authorization: Bearer KEY`) or in x-api-key.",
);
const UNKNOWN: Kind = Kind::InvalidKey(
    "This API key is not known to the proxy; check that it is the key that its operator gave you.",
);
const NO_CLIENT: Kind = Kind::InvalidKey(
    "The client certificate stands for no client of this proxy, and the request has no API key.",
);

/// Everybody who may ask, over all workers.
#[derive(Debug)]
pub struct Directory {
    callers: Box<[Arc<Caller>]>,
    by_key: HashMap<KeyDigest, usize, BuildHasherDefault<FirstBytes>>,
    by_certificate: HashMap<String, usize>,
    sharing: Option<Arc<Sharing>>,
    clock: Clock,
    /// No two of a process have the same.
    id: u64,
}

/// Of the next directory.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Directory {
    /// Of a configuration that has clients. What is counted of those of `before` that have the same names goes on.
    pub fn new(
        config: &Config,
        before: Option<&Directory>,
        sharing: Option<Arc<Sharing>>,
    ) -> Option<Self> {
        let clients = config.clients.as_deref()?;
        let groups = config.client_groups.iter().map(|group| &group.allowance);
        let mut all = clients.iter().map(|client| &client.allowance).chain(groups);
        let clock = Clock {
            began: before.map_or_else(Instant::now, |before| before.clock.began),
            by_calendar: all.any(|allowance| !allowance.budgets.is_empty()),
        };
        let mut maker = Maker::new(config, before, sharing.as_ref(), clock);
        let numbered = || clients.iter().enumerate();
        let by_key = |(nth, client): (usize, &Client)| {
            client.keys.clone().into_iter().map(move |key| (key, nth))
        };
        let by_certificate = |(nth, client): (usize, &Client)| {
            client.certificates.clone().into_iter().map(move |name| (name, nth))
        };
        Some(Self {
            by_key: numbered().flat_map(by_key).collect(),
            by_certificate: numbered().flat_map(by_certificate).collect(),
            callers: clients.iter().map(|client| Arc::new(maker.caller(client))).collect(),
            sharing,
            clock,
            id: NEXT.fetch_add(1, Relaxed),
        })
    }

    /// Whose request has this head. `certificates`: the names in the certificate that its connection was proved by;
    /// `known`: the key that the connection brought last.
    ///
    /// # Errors
    /// [`Kind::InvalidKey`].
    pub fn identify(
        &self,
        headers: &HeaderMap,
        certificates: &[String],
        known: &KnownKey,
    ) -> Result<&Arc<Caller>, Kind> {
        let mut shown = false;
        for key in keys(headers) {
            shown = true;
            if let Some(nth) = known.client(self.id, key) {
                return self.valid(nth);
            }
            // What is looked up is a digest: how long that takes says nothing of the keys that there are.
            if let Some(nth) = self.by_key.get(&KeyDigest::of(key)) {
                known.learn(self.id, key, *nth);
                return self.valid(*nth);
            }
        }
        if shown {
            return Err(UNKNOWN);
        }
        if let Some(nth) = certificates.iter().find_map(|name| self.by_certificate.get(name)) {
            return self.valid(*nth);
        }
        Err(if certificates.is_empty() { MISSING } else { NO_CLIENT })
    }

    /// What the client of such a request proved itself by, to be asked for later.
    pub fn proof(&self, headers: &HeaderMap, certificates: &[String]) -> Option<Proof> {
        let mut digests = keys(headers).map(KeyDigest::of);
        if let Some(key) = digests.find(|digest| self.by_key.contains_key(digest)) {
            return Some(Proof::Key(key));
        }
        let name = certificates.iter().find(|name| self.by_certificate.contains_key(*name))?;
        Some(Proof::Certificate(name.as_str().into()))
    }

    /// Whose this proof is now.
    ///
    /// # Errors
    /// [`Kind::InvalidKey`].
    pub fn still(&self, proof: Option<&Proof>) -> Result<&Arc<Caller>, Kind> {
        let nth = match proof {
            None => return Err(MISSING),
            Some(Proof::Key(key)) => self.by_key.get(key),
            Some(Proof::Certificate(name)) => self.by_certificate.get(&**name),
        };
        self.valid(*nth.ok_or(UNKNOWN)?)
    }

    fn valid(&self, nth: usize) -> Result<&Arc<Caller>, Kind> {
        let caller = self.callers.get(nth).ok_or(UNKNOWN)?;
        caller.is_valid(unix)?;
        Ok(caller)
    }

    /// A moment on both clocks. The calendar's is not looked at where nothing goes by it.
    pub fn now(&self, at: Instant) -> Now {
        self.clock.at(at)
    }

    /// All of them, in the file's order.
    pub fn callers(&self) -> &[Arc<Caller>] {
        &self.callers
    }

    /// One by its name.
    pub fn caller(&self, name: &str) -> Option<&Arc<Caller>> {
        self.callers.iter().find(|caller| &**caller.name() == name)
    }

    /// Every limit, each once: those of a group are met in each of its clients.
    pub fn limiters(&self) -> impl Iterator<Item = &Limiter> {
        let mut seen = HashSet::new();
        let all = self.callers.iter().flat_map(|caller| caller.limiters());
        all.filter(move |limiter| seen.insert(Arc::as_ptr(limiter.state())))
    }

    /// How the process stands with others that share its limits.
    pub fn sharing(&self) -> Option<&Arc<Sharing>> {
        self.sharing.as_ref()
    }
}

/// Makes callers of what was written and of what was there before.
struct Maker<'a> {
    config: &'a Config,
    states: HashMap<String, Arc<State>>,
    spendings: HashMap<&'a str, Arc<Spending>>,
    sharing: Option<&'a Arc<Sharing>>,
    /// Labels of models, and the one of all others.
    models: Vec<Arc<str>>,
    prices: Arc<Prices>,
    clock: Clock,
}

impl<'a> Maker<'a> {
    fn new(
        config: &'a Config,
        before: Option<&'a Directory>,
        sharing: Option<&'a Arc<Sharing>>,
        clock: Clock,
    ) -> Self {
        let limiters = before.into_iter().flat_map(Directory::limiters);
        let callers = before.map(Directory::callers).unwrap_or_default();
        Self {
            config,
            states: limiters.map(|one| (one.key(), Arc::clone(one.state()))).collect(),
            spendings: callers
                .iter()
                .map(|one| (&**one.name(), Arc::clone(&one.spending)))
                .collect(),
            sharing,
            models: config.model_labels().map(Arc::from).collect(),
            prices: Arc::new(config.prices.clone()),
            clock,
        }
    }

    fn caller(&mut self, client: &Client) -> Caller {
        let name: Arc<str> = client.name.as_str().into();
        let owner = format!("client {name}").into();
        let mut limiters = self.limiters(&owner, &client.allowance);
        let mut above = client.group;
        while let Some(group) =
            above.and_then(|ClientGroupId(nth)| self.config.client_groups.get(nth))
        {
            let owner = format!("client group {}", group.name).into();
            limiters.extend(self.limiters(&owner, &group.allowance));
            above = group.parent;
        }
        let spending = self.spendings.get(&*client.name).cloned().unwrap_or_default();
        Caller {
            cells: self.models.iter().map(|model| spending.cells(model)).collect(),
            name,
            disabled: client.disabled,
            expires: client.expires,
            routes: client.routes.clone().map(Into::into),
            models: client.models.clone().map(Into::into),
            events: client.events.clone(),
            limiters: limiters.into(),
            spending,
            prices: Arc::clone(&self.prices),
            clock: self.clock,
        }
    }

    fn limiters(&mut self, owner: &Arc<str>, allowance: &Allowance) -> Vec<Limiter> {
        let mut limiters = Vec::new();
        for measure in measures(allowance) {
            let limiter = Limiter::new(owner, measure, None, self.sharing);
            let state =
                self.states.entry(limiter.key()).or_insert_with(|| Arc::clone(limiter.state()));
            limiters.push(Limiter::new(owner, measure, Some(Arc::clone(state)), self.sharing));
        }
        limiters
    }
}

/// The keys that a head shows, in the order in which they count.
fn keys(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearers =
        headers.get_all(AUTHORIZATION).iter().filter_map(|value| bearer(value.as_bytes()));
    let others = API_KEYS.iter().flat_map(|name| headers.get_all(name));
    let others = others.map(|value| value.as_bytes().trim_ascii());
    bearers.chain(others).filter(|key| !key.is_empty())
}

/// The key of `Bearer KEY`, whatever the scheme's case (RFC 9110, section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

/// A digest is as random as a hash: its first bytes are one.
#[derive(Debug, Default)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }
}
