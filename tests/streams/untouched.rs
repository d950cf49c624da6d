//! Whoever does not ask to be kept is not, and nothing of the path is another.

use super::upstream::Paced;
use super::{ANYONE, ask, head, proxy, read_up_to, send};
use crate::support::fixture::Fixture;
use loadtest::upstream::{Script, Upstream};

fn leave(fixture: &Fixture, upstream: &Paced, target: &str, lines: &str) {
    let lines = format!("{lines}content-length: 0\r\n");
    let mut client = send(fixture.address(), target, &lines);
    let (told, id) = head(&mut client);
    assert!(told.starts_with("http/1.1 200") && id.is_none(), "{told}");
    let mut answer = upstream.next();
    assert!(!answer.head.contains("x-firstbyte-resume"), "{}", answer.head);
    answer.send(b"data: a\n\n");
    read_up_to(&mut client, &mut Vec::new(), 9);
    drop(client);
    assert!(answer.wait_gone(), "its upstream is cancelled with it");
}

#[test]
fn without_the_header_or_without_the_section_a_client_that_leaves_is_left_upstream() {
    let upstream = Paced::start("text/event-stream");
    let other = "  - path: /other\n    upstream: mock";
    let fixture = proxy(upstream.address, 1, ANYONE, other);
    leave(&fixture, &upstream, "POST /v1/chat/completions", "");
    leave(&fixture, &upstream, "POST /v1/chat/completions", "x-firstbyte-resume: 0\r\n");
    leave(&fixture, &upstream, "POST /other/chat", "x-firstbyte-resume: 1\r\n");
    leave(&fixture, &upstream, "POST /other/chat", "x-conversation-id: chat\r\n");
    assert_eq!(fixture.count("firstbyte_kept_streams"), 0);
}

#[test]
fn where_no_route_keeps_streams_there_is_no_path_for_them_and_no_metric() {
    let upstream = Upstream::builder().clear().http1();
    let fixture = Fixture::start(upstream.script(Script::new().answer(200, &[], "{}")));
    assert_eq!(ask(fixture.address(), "GET /streams/x", "").status, 404);
    assert_eq!(ask(fixture.address(), "GET /v1/stream?conv_id=x", "").text(), "{}");
    assert!(!fixture.admin("/metrics").1.contains("firstbyte_kept_stream"));
}

#[test]
fn an_answer_that_is_no_success_is_not_kept() {
    let upstream = Upstream::builder().clear().http1();
    let upstream = upstream.respond(|_| Script::new().error(500, "server_error", None, "Broken."));
    let upstream = upstream.start().expect("it starts");
    let fixture = proxy(upstream.addr(), 1, ANYONE, "");
    let lines = "x-firstbyte-resume: 1\r\ncontent-length: 0\r\n";
    let given = ask(fixture.address(), "POST /v1/chat/completions", lines);
    assert_eq!((given.status, given.header("x-firstbyte-stream")), (500, None));
}

#[test]
fn openais_own_resumption_passes_as_it_is() {
    let upstream = Upstream::builder().clear().http1().respond(|seen| {
        let is_asked = seen.path == "/v1/responses/resp_1?stream=true&starting_after=42";
        let body = if is_asked { "event: x\ndata: {\"sequence_number\":43}\n\n" } else { "" };
        Script::new().stream().body(body).finish()
    });
    let upstream = upstream.start().expect("it starts");
    let fixture = proxy(upstream.addr(), 1, ANYONE, "");
    let target = "GET /v1/responses/resp_1?stream=true&starting_after=42";
    for lines in ["", "x-firstbyte-resume: 1\r\n", "last-event-id: 7\r\n"] {
        let given = ask(fixture.address(), target, lines);
        assert_eq!(given.text(), "event: x\ndata: {\"sequence_number\":43}\n\n", "{lines}");
    }
}
