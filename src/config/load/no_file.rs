//! The mode without a file: a key in the environment, and everything else by default.

use std::env::VarError;
use std::path::Path;

use crate::config::assemble::leads_back;
use crate::config::file::env::Env;
use crate::config::file::fault::{Complaint, Fault, Faults, Place};
use crate::config::kind::scalar::Workers;
use crate::config::kind::secret::{HeaderText, check_key};
use crate::config::kind::{Around, Kind};
use crate::config::upstream::url;
use crate::config::{
    Allowed, ClientDeadlines, Config, Dns, HealthPolicy, Limits, Pool, Protocol, Route, Target,
    Upstream, UpstreamDeadlines, UpstreamId, defaults,
};

const KEY: &str = "OPENAI_API_KEY";
const BASE_URL: &str = "OPENAI_BASE_URL";
/// The SDKs' own names; what they send with the key directly, we send with it too.
const ORGANIZATION: &str = "OPENAI_ORG_ID";
const PROJECT: &str = "OPENAI_PROJECT_ID";

/// The configuration that the environment alone describes: `OPENAI_API_KEY` in front of
/// `OPENAI_BASE_URL`, with `OPENAI_ORG_ID` and `OPENAI_PROJECT_ID` where they are set.
///
/// # Errors
/// The key is missing, or a variable can't be used; every such variable is named.
pub fn from_env(env: &dyn Env) -> Result<Config, Faults> {
    let mut variables = Variables { env, faults: Vec::new() };
    let key = variables.key();
    let url = variables.read(BASE_URL, url::parse).or_else(|| {
        url::parse(defaults::OPENAI_BASE_URL).ok() // stands in where the variable was faulty too
    });
    let organization = variables.header(ORGANIZATION);
    let project = variables.header(PROJECT);
    let config = url.map(|url| {
        // The client's `/v1` leads to the base URL's path, whatever that is called. A base URL
        // without a path leaves the client's path as it is.
        let path = if url.base_path.is_empty() { "/" } else { "/v1" };
        let upstream = Upstream {
            name: "openai".into(),
            scheme: url.scheme,
            host: url.host,
            port: url.port,
            base_path: url.base_path,
            key,
            forward_authorization: false,
            underscores_in_headers: false,
            organization,
            project,
            ca_file: None,
            protocol: Protocol::Auto,
            pool: Pool::default(),
            deadlines: UpstreamDeadlines::default(),
            dns: Dns::default(),
            health: HealthPolicy::default(),
            probe: None,
            streams: None,
        };
        Config {
            listen: vec![defaults::LISTEN],
            admin: Some(defaults::ADMIN),
            admin_token: None,
            allowed_hosts: Allowed::default(),
            allowed_origins: Allowed::default(),
            workers: Workers.absent(),
            upstreams: vec![upstream],
            groups: Vec::new(),
            routes: vec![Route::new(path, Target::Upstream(UpstreamId(0)))],
            client: ClientDeadlines::default(),
            limits: Limits::default(),
            via: defaults::VIA,
            access_log: defaults::ACCESS_LOG,
            reload: defaults::RELOAD,
            upgrade_timeout: defaults::UPGRADE_TIMEOUT,
        }
    });
    if let Some(upstream) = config.as_ref().and_then(|config| config.upstreams.first())
        && leads_back(upstream, &[defaults::LISTEN])
    {
        let hint = "it is meant for the SDK that uses firstbyte; unset it for firstbyte itself";
        variables.fault(BASE_URL, "leads back to firstbyte's own listener", hint);
    }
    Faults::or(variables.faults, config)
}

struct Variables<'a> {
    env: &'a dyn Env,
    faults: Vec<Fault>,
}

impl Variables<'_> {
    fn key(&mut self) -> Option<secrecy::SecretString> {
        let key = self.read(KEY, check_key);
        if key.is_none() && self.faults.is_empty() {
            let hint = "write `export OPENAI_API_KEY=…`, or name a file with `-c firstbyte.yaml`; \
                        `firstbyte demo` needs no key";
            self.fault(KEY, "is not set", hint);
        }
        key
    }

    fn header(&mut self, name: &str) -> Option<String> {
        let around = Around { env: self.env, folder: Path::new("") };
        self.read(name, |text| HeaderText.read(text, &around)).flatten()
    }

    /// A variable that is empty is as good as not set: that is how shells and compose files unset.
    fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        let text = match self.env.var(name) {
            Ok(text) if !text.is_empty() => text,
            Ok(_) | Err(VarError::NotPresent) => return None,
            Err(VarError::NotUnicode(_)) => {
                self.fault(name, "is not UTF-8", "");
                return None;
            }
        };
        read(&text).map_err(|complaint| self.fault(name, &complaint.what, &complaint.hint)).ok()
    }

    fn fault(&mut self, name: &str, what: &str, hint: &str) {
        let place = Place::Variable(name.into());
        self.faults.push(Fault { place, key: String::new(), what: what.into(), hint: hint.into() });
    }
}
