//! The example of `docs/models.md`, as it is written: only addresses are put in.

use std::path::Path;

use firstbyte::config::parse;
use loadtest::upstream::{Script, Upstream};

use super::with_model;
use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::refusal::assert_refused;

fn example() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/models.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, rest) = page.split_once("```yaml\n").expect("an example");
    rest.split_once("```").expect("its end").0.to_owned()
}

#[test]
fn the_page_s_example_leads_where_the_page_says() {
    let upstream = |name: &str| {
        Upstream::builder().clear().http1().script(Script::new().answer(200, &[], name.to_owned()))
    };
    let openai = upstream("openai").start().expect("it starts");
    let local = upstream("local").start().expect("it starts");
    let text = example()
        .replace("https://api.openai.com", &format!("http://{}", openai.addr()))
        .replace("http://127.0.0.1:8000", &format!("http://{}", local.addr()))
        .replace("${OPENAI_API_KEY}", "sk-ours");
    let text = format!("listen: 127.0.0.1:0\nadmin: off\naccess_log: off\n{text}");
    let fixture = Fixture::of_file(openai, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE));
    let mut client = Http1::new(fixture.connect());
    for (ask, expected) in [
        (with_model("gpt-4o"), "openai"),
        (with_model("gpt-oss-20b"), "local"),
        (with_model("llama-3.1-8b"), "local"),
        (with_model("text-embedding-3-small"), "openai"),
        (Ask::get("/v1/files"), "openai"),
        (Ask::get("/v1/models/llama-3.1-8b"), "local"),
    ] {
        assert_eq!(client.ask(&ask).body(), expected.as_bytes(), "{ask:?}");
    }
    let list = client.ask(&Ask::get("/v1/models"));
    assert_refused(&list, 503, "models_unknown"); // theirs are no lists
}

#[test]
fn the_page_names_every_key_and_code() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/models.md");
    let page = std::fs::read_to_string(page).expect("the page");
    for word in [
        "`models`",
        "`otherwise`",
        "`model_bytes`",
        "`models_refresh`",
        "`model_not_found`",
        "`model_missing`",
        "`model_unreadable`",
        "`model_compressed`",
        "`models_unknown`",
        "`firstbyte_model_requests_total`",
    ] {
        assert!(page.contains(word), "{word}");
    }
    let env = firstbyte::config::ProcessEnv;
    let text = example().replace("${OPENAI_API_KEY}", "k");
    assert!(parse(Path::new("f.yaml"), text.as_bytes(), &env).is_ok());
}
