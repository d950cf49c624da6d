//! The same over HTTP/2, on both sides.

use std::time::Duration;

use loadtest::upstream::{End, Log, Script, Upstream};

use super::{ANYONE, ask, file, start};
use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::Ask;
use crate::support::peers::http2_client::{Http2, Stream};
use crate::support::peers::raw_http2::{self, Client};

/// Begins a stream; its id.
fn begin(client: &mut Http2) -> (Stream, String) {
    let ask = Ask::get("/v1/chat").header("x-firstbyte-resume", "1");
    let mut stream = client.send_head(&ask);
    let mut answer = client.head(&mut stream);
    let id = answer.header("x-firstbyte-stream").expect("it is kept").to_owned();
    client.piece(&mut stream, &mut answer).expect("it goes on");
    (stream, id)
}

fn upstream(script: Script) -> Upstream {
    Upstream::builder().clear().http2().script(script).start().expect("it starts")
}

fn fixture(upstream: &Upstream) -> Fixture {
    start(&file("http2", upstream.addr(), 1, ANYONE, ""))
}

#[test]
fn a_client_that_resets_its_stream_reads_on_and_the_upstream_is_not_cancelled() {
    let script = Script::new().stream().body("data: 1\n\n").wait(Duration::from_millis(300));
    let upstream = upstream(script.body("data: 2\n\n").finish());
    let fixture = fixture(&upstream);
    let mut client = Http2::connect(fixture.address());
    let (stream, id) = begin(&mut client);
    drop(stream);
    client.turn();
    fixture.wait_until("its client has left", |fixture| {
        fixture.count("firstbyte_kept_stream_readers") == 0
    });
    let read = raw_http2::block_on(async {
        let client = Client::connect(fixture.address()).await;
        client.ask(&format!("/streams/{id}?from=9"), b"").await.expect("an answer")
    });
    assert_eq!((read.status, &*read.body, read.cut), (200, &b"data: 2\n\n"[..], None));
    let is_over = |log: &Log| log.requests.iter().all(|request| request.end.is_some());
    assert!(upstream.wait_for(is_over, PATIENCE));
    let ends: Vec<_> = upstream.log().requests.into_iter().map(|seen| seen.end).collect();
    assert_eq!(ends, [Some(End::Finished)]);
}

#[test]
fn delete_resets_the_upstream_s_stream_and_those_of_its_readers() {
    let upstream = upstream(Script::new().stream().body("data: 1\n\n").stall());
    let fixture = fixture(&upstream);
    let mut client = Http2::connect(fixture.address());
    let (_stream, id) = begin(&mut client);
    let read = raw_http2::block_on(async {
        let client = Client::connect(fixture.address()).await;
        let answer = client.send(&format!("/streams/{id}"), b"").await;
        let answer = answer.await.expect("a head");
        assert_eq!(ask(fixture.address(), &format!("DELETE /streams/{id}"), "").status, 204);
        raw_http2::read(answer).await
    });
    assert_eq!(&*read.body, b"data: 1\n\n", "what came before the cut is given");
    assert!(read.cut.is_some(), "it is reset");
    let seen = upstream.wait_for_cancel(0, PATIENCE).expect("the upstream is told");
    assert_eq!(seen.end, Some(End::Reset { code: 8 }), "CANCEL");
}
