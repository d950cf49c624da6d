//! The mode without a file: a key in the environment, and everything else by default.

use std::env::VarError;
use std::net::SocketAddr;
use std::path::Path;

use crate::config::door::Listener;
use crate::config::door::address::Address;
use crate::config::file::env::Env;
use crate::config::file::fault::{Complaint, Fault, Faults, Place};
use crate::config::key::reader::unwritten;
use crate::config::kind::secret::{HeaderText, read_key};
use crate::config::kind::{Around, Kind};
use crate::config::listen::{ADMIN, leads_back};
use crate::config::names::{Target, UpstreamId};
use crate::config::overlap;
use crate::config::root::Config;
use crate::config::route::Route;
use crate::config::upstream::egress::Egress;
use crate::config::upstream::{Upstream, endpoint, url};

/// The upstream's, in logs and metrics.
const NAME: &str = "openai";
/// The address of the API when `OPENAI_BASE_URL` is not set, in the SDKs' form.
const OPENAI: &str = "https://api.openai.com/v1";
const KEY: &str = "OPENAI_API_KEY";
const BASE_URL: &str = "OPENAI_BASE_URL";
/// The SDKs' own names; what they send with the key directly, we send with it too.
const ORGANIZATION: &str = "OPENAI_ORG_ID";
const PROJECT: &str = "OPENAI_PROJECT_ID";

const LISTEN_AT: &str = "FIRSTBYTE_LISTEN";
const ADMIN_AT: &str = "FIRSTBYTE_ADMIN";

/// What the command line says in the mode without a file; each is as good as its variable, and counts
/// before it.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// `--listen`, as often as it was written; each may hold several, with commas between them.
    pub listen: Vec<String>,
    /// `--admin`.
    pub admin: Option<String>,
}

/// The configuration that the environment alone describes: `OPENAI_API_KEY` in front of
/// `OPENAI_BASE_URL`, with `OPENAI_ORG_ID` and `OPENAI_PROJECT_ID` where they are set; at `FIRSTBYTE_LISTEN`
/// and `FIRSTBYTE_ADMIN`.
///
/// # Errors
/// The key is missing, or a variable can't be used; every such variable is named.
pub fn from_env(env: &dyn Env) -> Result<Config, Faults> {
    without_file(env, &Arguments::default())
}

/// As [`from_env`], with what the command line says.
///
/// # Errors
/// As for [`from_env`], and each argument that can't be used.
pub fn without_file(env: &dyn Env, arguments: &Arguments) -> Result<Config, Faults> {
    let mut variables = Variables { env, faults: Vec::new(), warnings: Vec::new() };
    let (listen, admin) = variables.addresses(arguments);
    let key = variables.key();
    let url = variables.read(BASE_URL, url::parse).or_else(|| {
        url::parse(OPENAI).ok() // stands in where the variable was faulty too
    });
    let proxy = match url.as_ref().map(|url| Egress::of_environment(env, url)) {
        Some(Ok(proxy)) => proxy,
        Some(Err((name, complaint))) => {
            variables.fault(name, &complaint.what, &complaint.hint);
            None
        }
        None => None,
    };
    let organization = variables.header(ORGANIZATION);
    let project = variables.header(PROJECT);
    if let Some(url) = &url
        && let Some(endpoint) = endpoint::endpoint(&url.base_path)
    {
        let (what, hint) = endpoint::words(&url.base_path, endpoint, "/v1");
        variables.warn(BASE_URL, what, hint);
    }
    let config = url.and_then(|url| {
        // The client's `/v1` leads to the base URL's path, whatever that is called. A base URL
        // without a path leaves the client's path as it is.
        let path = if url.base_path.is_empty() { "/" } else { "/v1" };
        let upstream = unwritten(|reader, fields| Upstream::read(reader, fields, NAME, Some(url)))?;
        Some(Config {
            upstreams: vec![Upstream { proxy, key, organization, project, ..upstream }],
            routes: vec![Route::new(path, Target::Upstream(UpstreamId(0)))],
            listen,
            admin,
            warnings: std::mem::take(&mut variables.warnings),
            ..unwritten(Config::read)
        })
    });
    if let Some(config) = &config
        && config.upstreams.iter().any(|upstream| leads_back(upstream, &config.listen))
    {
        let hint = "this value is for SDKs that use firstbyte; unset it for firstbyte itself";
        variables.fault(BASE_URL, "points to firstbyte's own listener", hint);
    }
    Faults::or(variables.faults, config)
}

struct Variables<'a> {
    env: &'a dyn Env,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

impl Variables<'_> {
    /// Where to listen, by argument, variable or default.
    fn addresses(&mut self, arguments: &Arguments) -> (Vec<Listener>, Option<SocketAddr>) {
        let given = !arguments.listen.is_empty();
        let (from, text) = if given {
            ("--listen", Some(arguments.listen.join(",")))
        } else {
            (LISTEN_AT, self.text(LISTEN_AT))
        };
        let words = text.iter().flat_map(|text| text.split([',', ' ']));
        let words = words.map(str::trim).filter(|word| !word.is_empty());
        let all: Vec<_> = words
            .filter_map(|word| {
                self.parse(from, word, |word, around| Address::DEFAULT.read(word, around))
            })
            .collect();
        let listen = if all.is_empty() { vec![Address::DEFAULT.absent()] } else { all };
        let (admin_from, text) = match &arguments.admin {
            Some(text) => ("--admin", Some(text.clone())),
            None => (ADMIN_AT, self.text(ADMIN_AT)),
        };
        let admin = text.and_then(|text| {
            self.parse(admin_from, &text, |text, around| ADMIN.kind.read(text, around))
        });
        let admin = admin.unwrap_or_else(|| ADMIN.kind.absent());
        for (_, clash) in overlap::among(&listen) {
            self.fault(from, &clash.what, &clash.hint);
        }
        let clash = admin.and_then(|admin| overlap::with_admin(&listen, admin));
        if let Some((_, clash)) = clash {
            self.fault(admin_from, &clash.what, "choose another port, or write off");
        }
        (listen.into_iter().map(Listener::from).collect(), admin)
    }

    fn key(&mut self) -> Option<secrecy::SecretString> {
        let key = self.read_around(KEY, read_key);
        if key.is_none() && self.faults.is_empty() {
            let hint = "set it with `export OPENAI_API_KEY=…`, or give a file with `-c \
                firstbyte.yaml`; `firstbyte demo` needs no key";
            self.fault(KEY, "is not set", hint);
        }
        key
    }

    fn header(&mut self, name: &str) -> Option<String> {
        self.read_around(name, |text, around| HeaderText.read(text, around)).flatten()
    }

    fn read_around<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str, &Around<'_>) -> Result<T, Complaint>,
    ) -> Option<T> {
        let text = self.text(name)?;
        self.parse(name, &text, read)
    }

    fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        self.read_around(name, |text, _| read(text))
    }

    /// A variable that is empty is as good as not set: that is how shells and compose files unset.
    fn text(&mut self, name: &str) -> Option<String> {
        match self.env.var(name) {
            Ok(text) => Some(text).filter(|text| !text.is_empty()),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => {
                self.fault(name, "is not UTF-8", "");
                None
            }
        }
    }

    /// A value, with what is said of one that can be used.
    fn parse<T>(
        &mut self,
        name: &str,
        text: &str,
        read: impl FnOnce(&str, &Around<'_>) -> Result<T, Complaint>,
    ) -> Option<T> {
        let around = Around::new(self.env, Path::new(""));
        let read = read(text, &around);
        for Complaint { what, hint, .. } in around.take_remarks() {
            self.warn(name, what, hint);
        }
        read.map_err(|complaint| self.fault(name, &complaint.what, &complaint.hint)).ok()
    }

    fn warn(&mut self, name: &str, what: String, hint: String) {
        let place = Place::Variable(name.into());
        self.warnings.push(Fault { place, key: String::new(), what, hint });
    }

    fn fault(&mut self, name: &str, what: &str, hint: &str) {
        let place = Place::Variable(name.into());
        self.faults.push(Fault { place, key: String::new(), what: what.into(), hint: hint.into() });
    }
}
