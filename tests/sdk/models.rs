use firstbyte::config::{ByModel, Glob, Protocol, Route, Target, UpstreamId};
use loadtest::upstream::{Builder, Script, Seen, Upstream};
use serde_json::json;

use super::for_both;
use super::program::Sdk;
use crate::support::fixture::Fixture;

/// It lists one model, and says its name whatever it is asked.
fn upstream(name: &'static str, model: &'static str) -> Builder {
    Upstream::builder().clear().http1().respond(move |seen: &Seen| {
        let chat = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [
            { "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": name } },
        ] });
        let listed = json!({ "id": model, "object": "model", "created": 1, "owned_by": name });
        let answer = match &*seen.path {
            "/v1/models" => json!({ "object": "list", "data": [listed] }),
            path if path.starts_with("/v1/models/") => listed,
            "/v1/audio/transcriptions" => json!({ "text": name }),
            _ => chat,
        };
        let json = [("content-type", "application/json")];
        Script::new().answer(200, &json, answer.to_string())
    })
}

#[test]
fn applications_reach_two_upstreams_by_one_base_url() {
    let b = upstream("b", "llama-3").start().expect("it starts");
    let proxy = Fixture::configured(upstream("a", "mistral-7b"), |config| {
        config.upstreams[0].protocol = Protocol::Http1;
        let mut other = config.upstreams[0].clone();
        "b".clone_into(&mut other.name);
        other.port = b.addr().port();
        config.upstreams.push(other);
        let rule = |pattern: &str, nth| {
            (Glob::new(pattern).expect("a pattern"), Target::Upstream(UpstreamId(nth)))
        };
        let models = ByModel::new([rule("mistral-*", 0), rule("llama-*", 1)], None);
        config.routes = vec![Route::by_model("/v1", models)];
    });
    for_both(|sdk| {
        let ids = "ids=llama-3,mistral-7b";
        let verdicts = sdk.passes(&proxy.base_url(), "models", &[ids])?;
        let went = json!({ "seen": [["llama-3", "b", "b"], ["mistral-7b", "a", "a"]] });
        assert_eq!(verdicts[1].seen, went, "{sdk:?}");
        assert_unknown(sdk, &proxy.base_url())
    });
}

/// The group `refused` asks for `gpt-4o`.
fn assert_unknown(sdk: Sdk, url: &str) -> Option<()> {
    let options = ["class=NotFoundError", "status=404", "code=model_not_found"];
    sdk.passes(url, "refused", &options).map(drop)
}
