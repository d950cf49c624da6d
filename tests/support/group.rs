//! A proxy in front of a group of scripted upstreams.

use firstbyte::config::{
    ByModel, Config, Glob, Group, GroupId, Member, Pick, Protocol, Retry, Route, Scheme, Target,
    Triggers, UpstreamId, WhenEjected,
};
use loadtest::upstream::{Builder, Script, Upstream};

use super::fixture::{Fixture, KEY};
use super::message::{Answer, Ask};
use super::peers::http1_client::Http1;

/// The first member is `fixture.upstream`, named `a`; the others are `b` and `c`.
pub(crate) struct Several {
    pub(crate) fixture: Fixture,
    pub(crate) others: Vec<Upstream>,
}

/// The names of the members, and the key of each.
pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];

/// The key that member `nth` is sent; none contains another.
pub(crate) fn key_of(nth: usize) -> String {
    if nth == 0 { KEY.to_owned() } else { format!("sk-canary-of-{}-alone", NAMES[nth]) }
}

impl Several {
    /// Members with these scripts, over HTTP/2 in clear, all alike: `a` answers first.
    pub(crate) fn scripted(scripts: &[Script]) -> Self {
        Self::configured(scripts, |_| {})
    }

    /// The same with changes to the configuration.
    pub(crate) fn configured(scripts: &[Script], change: impl FnOnce(&mut Config)) -> Self {
        let http2 = |script: &Script| Upstream::builder().clear().http2().script(script.clone());
        Self::of(scripts.iter().map(http2).collect(), Protocol::Http2, change)
    }

    /// Any members, in clear. Each has a tier of its own, so that they are asked in order.
    pub(crate) fn of(
        members: Vec<Builder>,
        protocol: Protocol,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut members = members.into_iter();
        let first = members.next().expect("a first member");
        let others: Vec<_> = members.map(|other| other.start().expect("it starts")).collect();
        let fixture = Fixture::configured(first, |config| {
            config.upstreams[0].protocol = protocol;
            config.upstreams[0].base_path.clear();
            NAMES[0].clone_into(&mut config.upstreams[0].name);
            for other in &others {
                add(config, other);
            }
            grouped(config);
            change(config);
        });
        Self { fixture, others }
    }

    /// Asks on a connection of its own.
    pub(crate) fn ask(&self, ask: &Ask) -> Answer {
        Http1::new(self.fixture.connect()).ask(ask)
    }

    /// How often each member was asked.
    pub(crate) fn asked(&self) -> Vec<u64> {
        let all = std::iter::once(&self.fixture.upstream).chain(&self.others);
        all.map(Upstream::requests).collect()
    }

    /// Ends the proxy and returns its access log.
    pub(crate) fn access_log(self) -> Vec<serde_json::Value> {
        self.fixture.access_log()
    }
}

/// One more upstream with a key of its own.
fn add(config: &mut Config, upstream: &Upstream) {
    let nth = config.upstreams.len();
    let mut other = config.upstreams[0].clone();
    NAMES[nth].clone_into(&mut other.name);
    (other.scheme, other.ca_file, other.port) = (Scheme::Http, None, upstream.addr().port());
    other.key = Some(key_of(nth).into());
    config.upstreams.push(other);
}

/// All upstreams in one group, asked in their order, and every path to it.
fn grouped(config: &mut Config) {
    let member = |id| Member { upstream: UpstreamId(id), weight: 1, tier: id as u32 };
    config.groups.push(Group {
        name: "all".into(),
        members: (0..config.upstreams.len()).map(member).collect(),
        pick: Pick::Weighted,
        failover_on: Triggers::statuses([429, 503]),
        retry: Retry::default(),
        hedge: None,
        when_all_ejected: WhenEjected::Ask,
    });
    config.routes[0].target = Target::Group(GroupId(0));
}

/// The same for models that a pattern matches, and no other path to it.
pub(crate) fn grouped_by_model(config: &mut Config, pattern: Glob) {
    grouped(config);
    let models = ByModel::new([(pattern, Target::Group(GroupId(0)))], None);
    config.routes = vec![Route::by_model("/v1", models)];
}

/// An answer that says who gave it.
pub(crate) fn ok(body: &str) -> Script {
    Script::new().answer(200, &[], body.to_owned())
}

/// A request like those of the SDKs.
pub(crate) fn ask() -> Ask {
    Ask::post("/v1/chat/completions", r#"{"stream":true}"#)
}
