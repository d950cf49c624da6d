//! SIGTERM under a thousand streams: nobody new is let in, nobody is cut before the deadline, and at the
//! deadline it ends.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use loadtest::upstream::{Script, Upstream};

use crate::support::peers::{raw_http1, raw_http2};
use crate::support::program::{Program, file_for};
use crate::support::size::{self, bound, raise_descriptor_limit};

/// Of each protocol; the promise's full size is a thousand of both.
const STREAMS: usize = 500;
const DONE: &str = "data: [DONE]\n\n";

/// Head and first event come at once, the end when the request's body has ended: so a stream is in flight
/// for as long as the test wants.
fn held() -> Upstream {
    let script = Script::new().early().stream().body("data: 1\n\n").await_body();
    let script = script.body(DONE).finish();
    Upstream::builder().http2().script(script).start().expect("the mock upstream starts")
}

fn begun(program: &Program) -> Vec<raw_http1::Client> {
    let clients = (0..STREAMS).map(|_| {
        let mut client = raw_http1::Client::of(program.ask("{"));
        assert!(client.wait_for("data: 1"));
        client
    });
    clients.collect()
}

type Begun = (h2::client::ResponseFuture, h2::SendStream<bytes::Bytes>);

async fn begun_http2(program: &Program) -> Vec<Begun> {
    let mut streams = Vec::new();
    for _ in 0..STREAMS / 100 {
        let client = raw_http2::Client::connect(program.address).await;
        for _ in 0..100 {
            streams.push(client.begin("/v1/x", b"{").await);
        }
    }
    streams
}

/// Signals, and waits until nobody is let in any more; how long that took.
fn terminate(program: &Program) -> Duration {
    let signalled = Instant::now();
    program.terminate();
    program.wait_until("it is closed", |program| TcpStream::connect(program.address).is_err());
    signalled.elapsed()
}

#[test]
fn a_thousand_streams_finish_after_sigterm_and_nobody_new_is_let_in() {
    raise_descriptor_limit();
    let upstream = held();
    let program = Program::start(&file_for(&upstream));
    program.wait_until("it is ready", |program| program.status("/readyz") == 200);
    let ended = size::block_on(async {
        let mut sockets = begun(&program);
        let streams = begun_http2(&program).await;
        let all = |log: &loadtest::upstream::Log| log.requests.len() == 2 * STREAMS;
        assert!(upstream.seen(all, Duration::from_secs(60)).await, "all are under way");
        let closed = terminate(&program);
        println!("closed to new connections after {closed:?}");
        assert!(closed < bound(Duration::from_secs(20), Duration::from_millis(100)), "{closed:?}");
        for socket in &mut sockets {
            socket.stream.write_all(b"0\r\n\r\n").expect("the proxy reads on");
        }
        for (answer, mut upload) in streams {
            upload.send_data(bytes::Bytes::new(), true).expect("the stream is open");
            let answer = raw_http2::read(answer.await.expect("a head")).await;
            assert_eq!(answer.cut, None);
            assert!(answer.body.ends_with(DONE.as_bytes()));
        }
        for socket in &mut sockets {
            let answer = socket.answer().expect("an answer");
            assert!(answer.whole && answer.body.ends_with(DONE.as_bytes()));
        }
        program.ended()
    });
    let (status, said) = ended;
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("cut=0"), "{said}");
}

#[test]
fn a_thousand_streams_that_do_not_end_are_cut_at_the_drains_deadline_and_none_looks_whole() {
    raise_descriptor_limit();
    let upstream = held();
    let file = file_for(&upstream);
    let text = fs::read_to_string(&file).expect("a file").replace("drain: 1h", "drain: 2s");
    fs::write(&file, text).expect("the file can be written");
    let program = Program::start(&file);
    program.wait_until("it is ready", |program| program.status("/readyz") == 200);
    size::block_on(async {
        let mut sockets = begun(&program);
        let streams = begun_http2(&program).await;
        let all = |log: &loadtest::upstream::Log| log.requests.len() == 2 * STREAMS;
        assert!(upstream.seen(all, Duration::from_secs(60)).await, "all are under way");
        let signalled = Instant::now();
        program.terminate();
        let (status, said) = program.ended();
        let took = signalled.elapsed();
        println!("ended after {took:?}");
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(took >= Duration::from_secs(2), "before the deadline: {took:?}");
        let late = bound(Duration::from_secs(10), Duration::from_secs(1));
        assert!(took < Duration::from_secs(2) + late, "{took:?}");
        for socket in &mut sockets {
            assert!(!socket.answer().expect("a head").whole, "a cut stream looks whole");
        }
        for (answer, _upload) in streams {
            let cut = match answer.await {
                Ok(answer) => raw_http2::read(answer).await.cut.is_some(),
                Err(_) => true,
            };
            assert!(cut, "a cut stream looks whole");
        }
    });
}
