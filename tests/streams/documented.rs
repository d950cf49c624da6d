//! The examples of `docs/streams.md`, as they are written: only addresses are put in.

use std::process::Command;
use std::time::Duration;

use loadtest::upstream::{Script, Upstream};

use crate::keys::key;
use crate::support::fixture::{Fixture, PATIENCE, scratch};

const PAGE: &str = include_str!("../../docs/streams.md");

/// The block that begins so, without its fences.
fn block(begin: &str) -> &'static str {
    let (_, after) = PAGE.split_once(begin).expect("the page has it");
    after.split_once("```").expect("it ends").0
}

fn proxy() -> Fixture {
    let script = Script::new().stream().tokens(60, Duration::from_millis(50)).done();
    let upstream = Upstream::builder().clear().http1().script(script).start();
    let upstream = upstream.expect("the mock upstream starts");
    let example = block("```yaml\n").replace("${APP_A_KEY}", &key("app-a"));
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\naccess_log: off\n\
         upstreams:\n  openai:\n    url: {}/v1\n    key: sk-ours\n{example}",
        upstream.url()
    );
    let fixture = Fixture::of_file(upstream, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE));
    fixture
}

/// The lines of the page in a shell; the first request loses its connection while its answer comes.
#[test]
fn the_page_s_lines_put_an_answer_together_over_a_lost_connection() {
    let proxy = proxy();
    let folder = scratch();
    let lines = block("```sh\n").replace("127.0.0.1:8080", &proxy.address().to_string());
    let lines = lines.replacen("curl -sN", "curl -sN --max-time 1.5", 1);
    let whole = format!(
        "curl -sN \"http://{}/streams/$id\" -H \"authorization: Bearer $APP_A_KEY\" -o whole",
        proxy.address()
    );
    let script = format!("{lines}\n{whole}\n");
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(&folder)
        .env("APP_A_KEY", key("app-a"))
        .env("NO_PROXY", "*")
        .output()
        .expect("a shell runs");
    assert!(output.status.success(), "{output:?}");
    let read = |name: &str| std::fs::read(folder.join(name)).expect("a file");
    let (answer, whole) = (read("answer"), read("whole"));
    assert!(answer.ends_with(b"data: [DONE]\n\n"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(answer, whole);
    assert_eq!(proxy.upstream.requests(), 1);
    assert_eq!(proxy.count("firstbyte_kept_stream_resumes_total{result=\"ok\"}"), 2);
}

#[test]
fn the_page_names_these_keys_and_codes() {
    for word in [
        "`anonymous: true`",
        "bytes:",
        "ttl:",
        "detached:",
        "heartbeat:",
        "`bad_stream_offset`",
        "`stream_not_found`",
        "`stream_offset_lost`",
        "`stream_reader_lagged`",
        "`firstbyte_heartbeats_total`",
        "`x-firstbyte-resume: 1`",
        "`x-firstbyte-stream: ID`",
    ] {
        assert!(PAGE.contains(word), "{word}");
    }
}
