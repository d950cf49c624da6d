//! Interim responses before the final one: a request takes as many as a server has to say, and an upstream
//! that goes on with them is told apart from one that thinks.

use firstbyte::config::Protocol;
use loadtest::upstream::Upstream;

use crate::support::fixture::Fixture;
use crate::support::peers::raw_http1::{Answer, Client};
use crate::support::peers::raw_upstream::{self, Reply, frame, lead_to};

/// As many as a request takes.
const MOST: usize = 100;

/// What a client is told where so many interim responses come before a final one, over each protocol.
fn answers(interims: usize) -> Vec<Answer> {
    let over_http1 = raw_upstream::http1(move |_| {
        let interims = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(interims);
        let last = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody";
        Reply { bytes: (interims + last).into_bytes(), close: false }
    });
    let over_http2 = raw_upstream::http2(move |_, stream| {
        let mut bytes = frame(1, 4, stream, &[0x08, 3, b'1', b'0', b'3']).repeat(interims);
        bytes.extend(frame(1, 4, stream, &[0x88]));
        bytes.extend(frame(0, 1, stream, b"body"));
        Reply { bytes, close: false }
    });
    let upstreams = [(over_http1, Protocol::Http1), (over_http2, Protocol::Http2)];
    upstreams
        .map(|(upstream, protocol)| {
            let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
                lead_to(config, upstream, protocol);
            });
            let mut client = Client::connect(&fixture);
            // The connection's second request takes as many as its first.
            client.ask("/v1/first", b"");
            let first = client.answer().expect("an answer");
            client.ask("/v1/second", b"");
            let second = client.answer().expect("an answer");
            assert_eq!(first.status, second.status);
            second
        })
        .into()
}

#[test]
fn as_many_as_a_server_has_to_say_are_passed_over() {
    for answer in answers(MOST) {
        assert_eq!((answer.status, answer.text()), (200, "body".to_owned()));
    }
}

#[test]
fn an_upstream_that_goes_on_with_them_is_told_apart() {
    for answer in answers(MOST + 1) {
        assert_eq!(answer.status, 502);
        assert!(answer.text().contains("upstream_interim"), "{}", answer.text());
    }
}
