//! Routes that forward by the request's model: both ends scripted, bodies byte for byte.

mod body;
mod listed;
mod page;
mod refused;
mod streaming;

use firstbyte::config::{ByModel, Config, Glob, Protocol, Route, Scheme, Target, UpstreamId};
use loadtest::upstream::{Builder, RequestSeen, Script, Upstream};

use crate::support::fixture::Fixture;
use crate::support::message::{Answer, Ask};
use crate::support::peers::http1_client::Http1;

/// `gpt-*` goes to `a`, which is `fixture.upstream`, `llama-*` to `b`, and the rest nowhere.
struct Mixed {
    fixture: Fixture,
    b: Upstream,
}

impl Mixed {
    /// Both speak HTTP/2 in clear and say their names.
    fn start() -> Self {
        Self::configured(|_| {})
    }

    fn configured(change: impl FnOnce(&mut Config)) -> Self {
        let [a, b] = ["a", "b"].map(|name| {
            Upstream::builder().clear().http2().script(Script::new().answer(200, &[], name))
        });
        Self::of(a, b, Protocol::Http2, change)
    }

    fn of(a: Builder, b: Builder, protocol: Protocol, change: impl FnOnce(&mut Config)) -> Self {
        let b = b.start().expect("it starts");
        let fixture = Fixture::configured(a, |config| {
            by_model(config, b.addr().port(), protocol);
            change(config);
        });
        Self { fixture, b }
    }

    fn ask(&self, ask: &Ask) -> Answer {
        Http1::new(self.fixture.connect()).ask(ask)
    }

    /// Who answers; panics where that is nobody.
    fn answers(&self, ask: &Ask) -> String {
        let answer = self.ask(ask);
        assert_eq!(answer.status, 200, "{ask:?}: {}", String::from_utf8_lossy(&answer.body()));
        String::from_utf8(answer.body()).expect("text")
    }
}

/// What an upstream saw of clients: we ask for its models too.
fn by_clients(upstream: &Upstream) -> Vec<RequestSeen> {
    let ours = |seen: &RequestSeen| seen.header("user-agent") == Some("firstbyte-models");
    upstream.log().requests.into_iter().filter(|seen| !ours(seen)).collect()
}

/// Puts the rules in place of the route's one upstream.
fn by_model(config: &mut Config, other: u16, protocol: Protocol) {
    let upstreams = &mut config.upstreams;
    upstreams[0].protocol = protocol;
    "a".clone_into(&mut upstreams[0].name);
    let mut b = upstreams[0].clone();
    "b".clone_into(&mut b.name);
    (b.scheme, b.ca_file, b.port) = (Scheme::Http, None, other);
    upstreams.push(b);
    config.models = ["llama-*", "gpt-*"].map(glob).into();
    lead(config, None);
}

fn glob(text: &str) -> Glob {
    Glob::new(text).expect("a pattern")
}

fn lead(config: &mut Config, otherwise: Option<Target>) {
    let to = |nth| Target::Upstream(UpstreamId(nth));
    let rules = [(glob("gpt-*"), to(0)), (glob("llama-*"), to(1))];
    config.routes = vec![Route::by_model("/v1", ByModel::new(rules, otherwise))];
}

/// A request like those of the SDKs.
fn chat(body: &str) -> Ask {
    Ask::post("/v1/chat/completions", body.to_owned()).header("content-type", "application/json")
}

fn with_model(model: &str) -> Ask {
    chat(&format!(r#"{{"model":"{model}","messages":[]}}"#))
}
