//! The examples of `docs/providers.md` and `docs/local-servers.md`, run as they are written: only addresses are put in
//! the place of those that no test can reach. The upstream is as strict as the provider, and stricter toward what
//! is the client's own.

use std::fs;
use std::path::Path;
use std::process::Command;

use loadtest::upstream::{Script, Seen, Upstream};

use crate::support::fixture::scratch;
use crate::support::installed::installed;
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::http2_client::Http2;
use crate::support::program::{Program, program};

/// What every key of a client's has in it.
const THEIRS: &str = "canary-theirs";

/// What a provider accepts, and nothing else.
#[derive(Clone, Copy)]
struct Accepts {
    /// The example's heading.
    heading: &'static str,
    path: &'static str,
    query: &'static str,
    /// The header that must carry the key, and what stands before it; `None`: no credential at all.
    key: Option<(&'static str, &'static str)>,
    /// What else must be there.
    also: &'static [(&'static str, &'static str)],
}

const fn bearer(heading: &'static str, path: &'static str) -> Accepts {
    Accepts { heading, path, query: "", key: Some(("authorization", "Bearer ")), also: &[] }
}

const HOSTED: [Accepts; 8] = [
    bearer("OpenAI", "/v1/chat/completions"),
    Accepts {
        query: "api-version=2024-10-21",
        key: Some(("api-key", "")),
        ..bearer("Azure, deployment paths", "/openai/deployments/gpt-4o/chat/completions")
    },
    Accepts { key: Some(("api-key", "")), ..bearer("Azure, v1", "/openai/v1/chat/completions") },
    bearer("Gemini", "/v1beta/openai/chat/completions"),
    Accepts {
        key: Some(("x-api-key", "")),
        also: &[("anthropic-version", "2023-06-01")],
        ..bearer("Anthropic", "/v1/messages")
    },
    Accepts {
        also: &[("http-referer", "https://chat.example"), ("x-title", "Example Chat")],
        ..bearer("OpenRouter", "/api/v1/chat/completions")
    },
    bearer("Groq", "/openai/v1/chat/completions"),
    bearer("Mistral", "/v1/chat/completions"),
];

const LOCAL: [Accepts; 4] = [
    bearer("vLLM", "/v1/chat/completions"),
    bearer("llama.cpp", "/v1/chat/completions"),
    Accepts { key: None, ..bearer("Ollama", "/v1/chat/completions") },
    bearer("LiteLLM", "/v1/chat/completions"),
];

/// One section of a page.
struct Example {
    heading: String,
    configuration: String,
    request: String,
}

#[test]
fn every_hosted_example_is_accepted_as_it_is_written() {
    each_is_accepted("providers.md", &HOSTED);
}

#[test]
fn every_local_example_is_accepted_as_it_is_written() {
    each_is_accepted("local-servers.md", &LOCAL);
}

/// The page's second way to say it.
#[test]
fn the_version_may_stand_in_the_url_as_azure_s_portal_shows_it() {
    let page = read("providers.md");
    let line =
        page.lines().find(|line| line.contains("?api-version=")).expect("a line of the page");
    let url = line.trim_matches(['`', '.']).strip_prefix("url: ").expect("a URL");
    let azure = HOSTED[1];
    let configuration = format!(
        "upstreams:\n  a:\n    url: {url}\n    key: ${{AZURE_OPENAI_API_KEY}}\n    auth_header: api-key\n\
         routes:\n  - {{ path: /v1, upstream: a }}\n"
    );
    let heading = azure.heading.to_owned();
    is_accepted(&Example { heading, configuration, request: String::new() }, azure);
}

/// The test's own teeth.
#[test]
fn a_request_that_is_wrong_in_one_thing_is_refused() {
    let azure = HOSTED[1];
    let (path, query) = (azure.path, azure.query);
    let ours = ("api-key".to_owned(), "sk-ours".to_owned());
    let seen = |path: &str, query: &str, lines: &[(String, String)]| {
        judged(azure, Some("sk-ours"), "POST", path, query, lines)
    };
    assert_eq!(seen(path, query, std::slice::from_ref(&ours)), Ok(()));
    let theirs = ("cookie".to_owned(), THEIRS.to_owned());
    let bearer = ("authorization".to_owned(), "Bearer sk-ours".to_owned());
    for (path, query, lines) in [
        ("/v1/chat/completions", query, vec![ours.clone()]),
        (path, "", vec![ours.clone()]),
        (path, "api-version=2024-10-21&key=canary-theirs", vec![ours.clone()]),
        (path, query, vec![]),
        (path, query, vec![bearer.clone()]),
        (path, query, vec![ours.clone(), bearer]),
        (path, query, vec![ours.clone(), ours.clone()]),
        (path, query, vec![ours, theirs]),
    ] {
        assert!(seen(path, query, &lines).is_err(), "{path} {query} {lines:?}");
    }
}

fn each_is_accepted(page: &str, all: &[Accepts]) {
    let examples = examples(&read(page));
    let headings: Vec<_> = examples.iter().map(|example| &*example.heading).collect();
    let known: Vec<_> = all.iter().map(|accepts| accepts.heading).collect();
    assert_eq!(headings, known, "each example of {page} has its strict upstream here");
    for (example, accepts) in examples.iter().zip(all) {
        eprintln!("{page}: {}", example.heading);
        is_accepted(example, *accepts);
    }
}

fn is_accepted(example: &Example, accepts: Accepts) {
    let variable =
        example.configuration.split_once("${").and_then(|(_, rest)| rest.split_once('}'));
    let variable = variable.map(|(name, _)| name.to_owned());
    let key = variable.as_ref().map(|name| format!("sk-of-{name}"));
    let expected = key.clone();
    let upstream = Upstream::builder().clear().http1().respond(move |seen: &Seen| {
        let lines: Vec<_> = seen
            .headers
            .iter()
            .map(|line| (line.name.to_ascii_lowercase(), text(&line.value)))
            .collect();
        let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
        match judged(accepts, expected.as_deref(), &seen.method, path, query, &lines) {
            Ok(()) => Script::new().answer(200, &[], "accepted"),
            Err(why) => Script::new().answer(401, &[], why),
        }
    });
    let upstream = upstream.start().expect("the mock upstream starts");
    let file = scratch().join("firstbyte.yaml");
    fs::write(&file, at(&example.configuration, &upstream.url())).expect("it can be written");
    let mut command = program();
    if let (Some(name), Some(key)) = (&variable, &key) {
        command.env(name, key);
    }
    let proxy = Program::spawn(command.arg("-c").arg(&file));
    let asked =
        if accepts.path.ends_with("/messages") { "/v1/messages" } else { "/v1/chat/completions" };
    for answer in [
        Http1::new(proxy.connect()).ask(&with_canaries(asked)),
        Http2::connect(proxy.address).ask(&with_canaries(asked)),
    ] {
        let said = String::from_utf8_lossy(&answer.body()).into_owned();
        assert_eq!((answer.status, &*said), (200, "accepted"), "{}", example.heading);
    }
    if !example.request.is_empty() && installed("curl").is_some() {
        let request = example.request.replace("127.0.0.1:8080", &proxy.address.to_string());
        let output = Command::new("sh").arg("-c").arg(request).output().expect("a shell");
        assert_eq!(text(&output.stdout), "accepted", "{}: {:?}", example.heading, output.stderr);
    }
}

/// A client that sends what it has, in every slot that some provider knows.
fn with_canaries(path: &str) -> Ask {
    let slots =
        ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "x-auth-token"];
    let target = format!("{path}?key={THEIRS}");
    slots.iter().fold(Ask::post(&target, "{}"), |ask, slot| ask.header(slot, THEIRS))
}

fn judged(
    accepts: Accepts,
    key: Option<&str>,
    method: &str,
    path: &str,
    query: &str,
    lines: &[(String, String)],
) -> Result<(), String> {
    let Accepts { key: place, also, .. } = accepts;
    if (method, path, query) != ("POST", accepts.path, accepts.query) {
        return Err(format!("{method} {path}?{query}"));
    }
    if let Some((name, _)) = lines.iter().find(|(_, value)| value.contains(THEIRS)) {
        return Err(format!("{name} is the client's"));
    }
    let credentials = ["authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"];
    let found: Vec<_> = lines.iter().filter(|(name, _)| credentials.contains(&&**name)).collect();
    match (place, key, &found[..]) {
        (None, None, []) => {}
        (Some((name, before)), Some(key), [(found, value)])
            if found == name && *value == format!("{before}{key}") => {}
        _ => return Err(format!("credentials: {found:?}")),
    }
    for (name, value) in also {
        let said: Vec<_> = lines.iter().filter(|(said, _)| said == name).collect();
        if !matches!(&said[..], [(_, said)] if said == value) {
            return Err(format!("{name}: {said:?}"));
        }
    }
    Ok(())
}

/// The configuration with the upstream's address in its URLs, and the proxy's own at any port.
fn at(configuration: &str, upstream: &str) -> String {
    let line = |line: &str| {
        let Some((before, url)) = line.split_once("url: ") else { return format!("{line}\n") };
        let (_, rest) = url.split_once("://").expect("a URL");
        let path = rest.find('/').map_or("", |at| &rest[at..]);
        format!("{before}url: {upstream}{path}\n")
    };
    let lines: String = configuration.lines().map(line).collect();
    format!("{lines}listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: off\n")
}

fn examples(page: &str) -> Vec<Example> {
    let section = |section: &str| {
        let (heading, text) = section.split_once('\n')?;
        let block = |kind: &str| {
            let (_, rest) = text.split_once(&format!("```{kind}\n"))?;
            rest.split_once("```").map(|(block, _)| block.to_owned())
        };
        let configuration = block("yaml")?;
        let request = block("sh").expect("each example has a request");
        Some(Example { heading: heading.to_owned(), configuration, request })
    };
    page.split("\n## ").skip(1).filter_map(section).collect()
}

fn read(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    fs::read_to_string(path).expect("a page")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
