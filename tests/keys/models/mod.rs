//! A client that may use some models only: it gets no other one, however its request names it.

mod held;
mod money;
mod twice;

use bytes::Bytes;
use loadtest::upstream::{RequestSeen, Script, Upstream};

use super::{ask, file, key};
use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::{Ask, Length};

/// `held` may use `gpt-4o*`, `free` any.
fn clients() -> String {
    format!(
        "clients:\n  - name: held\n    key: {}\n    models: [gpt-4o*]\n    limits: {{ rpm: 2, burst: 1h }}\n  \
         - name: free\n    key: {}\n",
        key("held"),
        key("free"),
    )
}

/// A proxy whose upstream speaks HTTP/2 or HTTP/1.1, in clear.
fn proxy(http2: bool, script: Script) -> Fixture {
    let builder = Upstream::builder().clear().script(script);
    let builder = if http2 { builder.http2() } else { builder.http1() };
    let upstream = builder.start().expect("the mock upstream starts");
    let mut text = file(&upstream, 1, &clients());
    if http2 {
        text = text
            .replace("    key: sk-ours-canary\n", "    key: sk-ours-canary\n    protocol: http2\n");
    }
    let fixture = Fixture::of_file(upstream, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    fixture
}

fn ok() -> Script {
    Script::new().answer(200, &[], "ok")
}

/// A request of this client with this body.
fn with_body(name: &str, body: impl Into<Bytes>) -> Ask {
    let pieces = vec![body.into()];
    ask(name).header("content-type", "application/json").body(pieces, Length::Known)
}

fn at(path: &str, ask: Ask) -> Ask {
    Ask { target: path.to_owned(), ..ask }
}

fn bodiless(method: &str, path: &str) -> Ask {
    Ask::get(path).method(method).header("authorization", &format!("Bearer {}", key("held")))
}

/// The requests of which an upstream has some of the body.
fn bodies(upstream: &Upstream) -> Vec<RequestSeen> {
    upstream.log().requests.into_iter().filter(|seen| seen.body_len > 0).collect()
}
