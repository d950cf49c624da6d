//! After SIGTERM a lame duck still serves who comes, says with each answer that it leaves, and only then drains.

use std::net::TcpStream;

use loadtest::upstream::{Script, Upstream};

use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::raw_http2;
use crate::support::program::{Program, file_for, program};

fn upstream() -> Upstream {
    let script = Script::new().answer(200, &[], "{}");
    Upstream::builder().http2().script(script).start().expect("the mock upstream starts")
}

/// One whose time is this, of a drain's two hours.
fn lame_duck(upstream: &Upstream, time: &str) -> Program {
    let file = file_for(upstream);
    let text = std::fs::read_to_string(&file).expect("a file");
    let text = text.replace("  drain: 1h\n", &format!("  drain: 2h\n  lame_duck: {time}\n"));
    std::fs::write(&file, text).expect("the file can be written");
    ready(Program::start(&file))
}

fn ready(program: Program) -> Program {
    program.wait_until("it is ready", |program| program.status("/readyz") == 200);
    program
}

/// Whether the answer says that it is the connection's last.
#[track_caller]
fn says_last(client: &mut Http1) -> bool {
    let answer = client.ask(&Ask::post("/v1/chat", "{}"));
    assert_eq!((answer.status, &*answer.body()), (200, &b"{}"[..]));
    answer.header("connection") == Some("close")
}

#[test]
fn a_lame_duck_accepts_and_each_answer_is_its_connection_s_last() {
    let upstream = upstream();
    let program = lame_duck(&upstream, "1h");
    let mut kept = Http1::new(program.connect());
    assert!(!says_last(&mut kept));
    program.terminate();
    program.wait_until("it is told", |program| program.status("/readyz") == 503);
    assert!(program.page("/readyz").contains("\"draining\""));
    assert!(says_last(&mut kept), "one that rested is told by its next answer");
    let mut new = Http1::new(program.connect());
    assert!(says_last(&mut new));
    new.assert_closed();
    program.terminate();
    let (status, said) = program.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("leaving: /readyz is 503 from now on; accepts for another 3600 s"));
    assert!(said.contains("cut=0"), "{said}");
}

/// One that was there is told at once, one that is new with its first request; the request is answered.
#[test]
fn a_lame_duck_sends_http_2_connections_away_and_answers_all_that_came() {
    let upstream = upstream();
    let program = lame_duck(&upstream, "1h");
    raw_http2::block_on(async {
        let kept = raw_http2::Client::connect(program.address).await;
        assert_eq!(kept.ask("/v1/chat", b"{}").await.expect("an answer").status, 200);
        program.terminate();
        program.wait_until("it is told", |program| program.status("/readyz") == 503);
        kept.closed().await;
        let new = raw_http2::Client::connect(program.address).await;
        assert_eq!(new.ask("/v1/chat", b"{}").await.expect("an answer").status, 200);
        new.closed().await;
    });
}

#[test]
fn a_lame_duck_whose_time_is_over_drains() {
    let upstream = upstream();
    let program = lame_duck(&upstream, "300ms");
    let mut kept = Http1::new(program.connect());
    assert!(!says_last(&mut kept));
    program.terminate();
    program.wait_until("it is closed", |program| TcpStream::connect(program.address).is_err());
    let (status, said) = program.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("draining; a second signal exits immediately"), "{said}");
    kept.assert_closed();
}

#[test]
fn a_pod_of_kubernetes_is_a_lame_duck_without_being_asked_and_others_are_not() {
    let upstream = upstream();
    let start = |in_a_pod: bool| {
        let mut command = program();
        if in_a_pod {
            command.env("KUBERNETES_SERVICE_HOST", "10.0.0.1");
        }
        ready(Program::spawn(command.arg("-c").arg(file_for(&upstream))))
    };
    let (pod, other) = (start(true), start(false));
    pod.terminate();
    other.terminate();
    let (_, said) = other.ended();
    assert!(!said.contains("lame_duck"), "{said}");
    TcpStream::connect(pod.address).expect("it still accepts");
    pod.terminate();
    let (_, said) = pod.ended();
    assert!(said.contains("accepts for another 5 s (lame_duck)"), "{said}");
}
