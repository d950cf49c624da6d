//! Large bodies stream: what the proxy holds of them does not grow with them.

use bytes::Bytes;
use loadtest::upstream::{Builder, Script, Upstream};
use sha2::{Digest, Sha256};

use crate::support::message::{Ask, Length};
use crate::support::pairing::upstream;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::http2_client::Http2;
use crate::support::splits::sha256;
use crate::support::talking_program::TalkingProgram;

const LARGE: usize = 50 * 1024 * 1024;

/// What a stream may add to the process: windows, buffers and what an allocator keeps of them, on both
/// sides. A body held in memory would be several times as much.
const GROWTH: usize = 8 * 1024 * 1024;

/// The promise is for every pairing; these two have all four ways of speaking in them.
fn with_programs(
    builder: impl Fn() -> Builder,
    mut test: impl FnMut(&Upstream, &TalkingProgram, bool),
) {
    for http2 in [false, true] {
        let builder = if http2 { builder().clear().http1() } else { builder().tls().http2() };
        let upstream = builder.start().expect("the mock upstream starts");
        let program = TalkingProgram::quiet(&upstream);
        // What the first request of all costs once is not the body's.
        ask(&program, http2, &Ask::get("/v1/models"));
        let before = program.peak_memory();
        test(&upstream, &program, http2);
        let grown = program.peak_memory() - before;
        eprintln!("client HTTP/2: {http2}: {} KiB more at the peak", grown / 1024);
        assert!(grown < GROWTH, "{grown} bytes more");
    }
}

fn ask(program: &TalkingProgram, http2: bool, ask: &Ask) -> crate::support::message::Answer {
    if http2 {
        Http2::connect(program.address()).ask(ask)
    } else {
        Http1::new(program.connect()).ask(ask)
    }
}

#[test]
fn a_large_upload_streams_up_in_bounded_memory() {
    let piece: Bytes = (0..=250).cycle().take(64 * 1024).collect();
    let pieces = vec![piece; LARGE / (64 * 1024)];
    let sha = sha256(&pieces);
    with_programs(
        || upstream().respond(|_| Script::new().answer(200, &[], "ok")),
        |upstream, program, http2| {
            let length = if http2 { Length::Unknown } else { Length::Known };
            let request = Ask::post("/v1/files", "").body(pieces.clone(), length);
            assert_eq!(ask(program, http2, &request).status, 200);
            let log = upstream.log();
            let seen = log.requests.last().expect("a request");
            assert_eq!(seen.body_sha256.as_deref(), Some(sha.as_str()));
        },
    );
}

#[test]
fn a_large_answer_streams_down_in_bounded_memory() {
    let filler: Vec<u8> = (b'a'..=b'z').cycle().take(LARGE).collect();
    let sha = Sha256::digest(&filler);
    with_programs(
        || {
            upstream().respond(|seen| match seen.path_only() {
                "/v1/large" => {
                    let script = Script::new().head(200, &[]);
                    script.step(loadtest::upstream::Step::Filler(LARGE as u64)).finish()
                }
                _ => Script::new().answer(200, &[], "ok"),
            })
        },
        |_, program, http2| {
            let came = ask(program, http2, &Ask::get("/v1/large"));
            assert_eq!(Sha256::digest(came.body()), sha);
        },
    );
}
