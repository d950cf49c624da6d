//! A stream is its owner's alone; who that is, and what conversations are.

use super::upstream::Paced;
use super::{ANYONE, ask, begin, file, head, proxy, read_up_to, send, start};
use crate::keys::key;

fn clients() -> String {
    let one = |name: &str| format!("  - name: {name}\n    key: {}\n    routes: [/v1]\n", key(name));
    format!("clients:\n{}{}", one("a"), one("b"))
}

fn by(name: &str) -> String {
    format!("authorization: Bearer {}\r\n", key(name))
}

#[test]
fn anothers_stream_is_as_unknown_as_one_that_never_was() {
    let upstream = Paced::start("text/event-stream");
    let fixture = proxy(upstream.address, 1, "{}", &clients());
    let (mut first, id) = begin(fixture.address(), &by("a"));
    let mut answer = upstream.next();
    answer.send(b"data: a\n\n");
    let never = "0123456789abcdef0123456789abcdef";
    let error = |given: super::Given| {
        let (code, message) = given.error();
        (given.status, code, message)
    };
    for method in ["GET", "DELETE"] {
        let theirs = ask(fixture.address(), &format!("{method} /streams/{id}"), &by("b"));
        let nobodys = ask(fixture.address(), &format!("{method} /streams/{never}"), &by("b"));
        assert_eq!(error(theirs), error(nobodys));
        let unknown = ask(fixture.address(), &format!("{method} /streams/{id}"), "");
        assert_eq!(unknown.status, 401);
    }
    answer.send(b"data: b\n\n");
    read_up_to(&mut first, &mut Vec::new(), 18); // of one that was stopped there are 9
    // Its owner may read it, though its routes do not name `/streams`.
    let mut mine = send(fixture.address(), &format!("GET /streams/{id}"), &by("a"));
    assert!(head(&mut mine).0.starts_with("http/1.1 200"));
    let told = r#"firstbyte_kept_stream_resumes_total{result="unknown"}"#;
    assert_eq!(fixture.count(told), 4);
}

#[test]
fn a_conversation_is_read_and_stopped_by_its_name_and_begun_anew_it_ends_the_old_one() {
    let upstream = Paced::start("text/event-stream");
    let fixture = proxy(upstream.address, 1, "{}", &clients());
    let chat = |name: &str| {
        let lines = format!("{}x-conversation-id: chat 1/a\r\ncontent-length: 0\r\n", by(name));
        let mut client = send(fixture.address(), "POST /v1/chat/completions", &lines);
        let id = head(&mut client).1.expect("it is kept");
        (client, id, upstream.next())
    };
    let (mut first, old, mut old_answer) = chat("a");
    assert!(old_answer.head.contains("x-conversation-id: chat 1/a\r\n"), "it goes on as it is");
    old_answer.send(b"data: old\n\n");
    let (mut other, _, mut others) = chat("b");
    let (_second, new, mut answer) = chat("a");
    assert_ne!(old, new);
    assert!(old_answer.wait_gone(), "the old one is cancelled");
    assert!(!first.chunks(&mut Vec::new()), "and ends cut");
    assert_eq!(ask(fixture.address(), &format!("GET /streams/{old}"), &by("a")).status, 404);
    answer.send(b"data: new\n\n");
    let by_name = "GET /v1/stream?conv_id=chat%201%2Fa&from=5";
    let mut again = send(fixture.address(), by_name, &by("a"));
    let (told, id) = head(&mut again);
    assert_eq!(id.as_deref(), Some(&*new), "{told}");
    let stopped = ask(fixture.address(), "DELETE /v1/stream?conv_id=chat+1/a", &by("a"));
    assert_eq!(stopped.status, 204);
    assert!(answer.wait_gone());
    others.send(b"data: b\n\n");
    read_up_to(&mut other, &mut Vec::new(), 9); // the one of this name of another client goes on
    let nobodys = ask(fixture.address(), "GET /v1/stream?conv_id=chat-2", &by("a"));
    assert_eq!(nobodys.status, 404);
}

#[test]
fn a_reload_keeps_streams_and_a_new_key_of_a_client_reads_on() {
    let upstream = Paced::start("text/event-stream");
    let before = file("http1", upstream.address, 1, "{}", &clients());
    let fixture = start(&before);
    let (_client, id) = begin(fixture.address(), &by("a"));
    let mut answer = upstream.next();
    answer.send(b"data: a\n\n");
    fixture.write_file("firstbyte.yaml", &before.replace(&key("a"), &key("new")));
    assert_eq!(fixture.ask_admin("POST", "/reload").0, 200);
    let path = format!("GET /streams/{id}");
    assert_eq!(ask(fixture.address(), &path, &by("a")).status, 401);
    assert_eq!(ask(fixture.address(), &path, &by("b")).status, 404);
    answer.send(b"data: b\n\n");
    answer.finish();
    let given = ask(fixture.address(), &path, &by("new"));
    assert_eq!((given.status, given.text().as_str()), (200, "data: a\n\ndata: b\n\n"));
}

#[test]
fn where_nobody_is_known_only_anonymous_keeps_and_the_id_is_enough() {
    let upstream = Paced::start("text/event-stream");
    let fixture = proxy(upstream.address, 1, ANYONE, "");
    let (_client, id) = begin(fixture.address(), "");
    upstream.next().finish();
    let given = ask(fixture.address(), &format!("GET /streams/{id}"), "");
    assert_eq!((given.status, given.is_whole), (200, true));
}
