//! From arguments to the plan of a target: the way to it, and what it is asked.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use http::Method;

use crate::client::{SendOptions, Target};
use crate::format;
use crate::load::worker::{Connections, TargetPlan};
use crate::request::{Api, ApiKey, Prompts, RequestSource, RequestSpec};

use super::args::{ConnectArgs, LoadArgs, RequestArgs, ShowArgs, VerdictArgs};
use super::trouble::Trouble;

/// Requests at a time for which an open loop opens connections ahead; a closed loop knows.
const EXPECTED_IN_FLIGHT: usize = 16;
/// Most requests in flight of an open loop, unless said otherwise.
const OPEN_SLOTS: usize = 10_000;
/// Requests in flight of a closed loop, unless said otherwise.
const CLOSED_SLOTS: usize = 8;

/// A target as the command line names it.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) processes: Vec<u32>,
}

/// The arguments that every kind of run has.
pub(super) struct Common<'a> {
    pub(super) request: &'a RequestArgs,
    pub(super) connect: &'a ConnectArgs,
    pub(super) load: &'a LoadArgs,
    pub(super) verdict: &'a VerdictArgs,
    pub(super) show: &'a ShowArgs,
}

impl Common<'_> {
    /// How many requests may be in flight.
    pub(super) fn slots(&self, open_loop: bool) -> usize {
        let usual = if open_loop { OPEN_SLOTS } else { CLOSED_SLOTS };
        self.load.concurrency.map_or(usual, |slots| slots as usize)
    }

    /// How each request is done.
    pub(super) fn options(&self) -> SendOptions {
        SendOptions {
            timeout: self.load.timeout,
            hash: self.verdict.verify,
            ..SendOptions::default()
        }
    }

    /// The way to a target and what it is asked.
    pub(super) fn target_plan(
        &self,
        named: &Named,
        open_loop: bool,
    ) -> Result<TargetPlan, Trouble> {
        let url = &named.url;
        let target = match &self.connect.cacert {
            None => Target::new(url),
            Some(path) => {
                let pem = fs::read_to_string(path)
                    .map_err(|error| Trouble::usage(&path.display().to_string(), &error))?;
                Target::trusting(url, &pem)
            }
        };
        let target = target
            .map_err(|error| Trouble::usage(url, &error))?
            .speaking(self.connect.http)
            .with_kernel_stamps(self.connect.kernel_stamps)
            .connecting_within(self.connect.connect_timeout);
        let ask =
            RequestSource::new(self.ask(&target)?).map_err(|error| Trouble::usage(url, &error))?;
        let usual = if open_loop { EXPECTED_IN_FLIGHT } else { self.slots(false) };
        Ok(TargetPlan {
            target,
            ask: Arc::new(ask),
            cold: self.connect.cold,
            processes: named.processes.clone(),
            connections: match self.connect.connections {
                Some(count) => Connections::Exactly(count),
                None => Connections::For(usual),
            },
            streams: self.connect.streams,
        })
    }

    fn ask(&self, target: &Target) -> Result<RequestSpec, Trouble> {
        let args = self.request;
        let known = args.api.or_else(|| Api::of_path(target.path()));
        let api = known.unwrap_or(Api::Chat);
        let path = api.resolve(target.path());
        let stream = !args.no_stream;
        // A path of no API that we know has no usual body either.
        let raw = known.is_none() && Api::of_path(&path).is_none();
        let body = match args.body.as_deref() {
            Some(body) => match body.strip_prefix('@') {
                Some(file) => {
                    fs::read_to_string(file).map_err(|error| Trouble::usage(file, &error))?
                }
                None => body.to_owned(),
            },
            None if raw => String::new(),
            None => api.body(stream).to_owned(),
        };
        let method = args.method.clone().unwrap_or_else(|| match (raw, body.is_empty()) {
            (false, _) => api.method(),
            (true, true) => Method::GET,
            (true, false) => Method::POST,
        });
        Ok(RequestSpec {
            method,
            path,
            headers: args.header_map(),
            key: self.key()?,
            template: body.parse().map_err(|error| Trouble::usage("body", &error))?,
            prompts: self.prompts()?,
            model: args.model.clone(),
            max_tokens: args.max_tokens,
            stream,
        })
    }

    fn key(&self) -> Result<Option<ApiKey>, Trouble> {
        let Some(name) = &self.request.api_key_env else { return Ok(None) };
        let key = std::env::var(name).map_err(|error| Trouble::usage(name, &error))?;
        Ok(Some(ApiKey::new(key)))
    }

    fn prompts(&self) -> Result<Prompts, Trouble> {
        let args = self.request;
        match &args.prompt_file {
            None => Ok(Prompts::generated(args.prompt_bytes, args.prompt_count, self.load.seed)),
            Some(path) => {
                let wrong = |error: &dyn ToString| {
                    Trouble::usage(&path.display().to_string(), &error.to_string())
                };
                let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
                Prompts::from_lines(&text).map_err(|error| wrong(&error))
            }
        }
    }
}

/// The settings that every kind of run has, for the report.
pub(super) fn common_settings(load: &LoadArgs, connect: &ConnectArgs) -> BTreeMap<String, String> {
    let pairs = [
        ("protocol", format!("{:?}", connect.http)),
        ("connections", if connect.cold { "cold" } else { "warm" }.to_owned()),
        ("think", format::span(load.think)),
        ("timeout", format::span(load.timeout)),
        ("slow_readers", load.slow.map_or("0 ns".into(), |slow| slow.to_string())),
        ("threads", load.threads.to_string()),
        ("seed", load.seed.to_string()),
    ];
    let told = pairs.into_iter().filter(|(_, value)| value != "0 ns");
    told.map(|(name, value)| (name.to_owned(), value.to_lowercase())).collect()
}
