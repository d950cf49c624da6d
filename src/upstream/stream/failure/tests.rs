use std::future::poll_fn;

use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::error::Kind;

/// What the peer does after it has our request on stream 1.
enum Peer {
    /// `GOAWAY(last, code)`, then close.
    GoAway { last: u32, code: u32 },
    /// `RST_STREAM(1, code)`.
    Reset { code: u32 },
    /// A frame that breaks the protocol: `h2` ends the connection from our side.
    Break,
    /// Closes the connection.
    Close,
}

#[tokio::test]
async fn what_h2_says_of_a_stream_proves_what_we_take_it_to() {
    use Kind::{UpstreamClosed, UpstreamGoaway, UpstreamProtocol, UpstreamReset};
    let (no_error, internal, refused, cancel, calm) = (0, 2, 7, 8, 11);
    for (peer, proof, kind) in [
        (Peer::GoAway { last: 0, code: no_error }, Failure::GoAway, UpstreamClosed),
        (Peer::GoAway { last: 0, code: internal }, Failure::Suspect, UpstreamGoaway),
        (Peer::GoAway { last: 0, code: calm }, Failure::Suspect, UpstreamGoaway),
        (Peer::GoAway { last: 1, code: no_error }, Failure::Unknown, UpstreamClosed),
        (Peer::GoAway { last: 1, code: internal }, Failure::Unknown, UpstreamClosed),
        (Peer::GoAway { last: 0x7fff_ffff, code: no_error }, Failure::Unknown, UpstreamClosed),
        (Peer::Reset { code: refused }, Failure::Refused, UpstreamReset),
        (Peer::Reset { code: cancel }, Failure::Unknown, UpstreamReset),
        (Peer::Reset { code: internal }, Failure::Unknown, UpstreamReset),
        (Peer::Reset { code: no_error }, Failure::Unknown, UpstreamReset),
        (Peer::Break, Failure::Unknown, UpstreamProtocol),
        (Peer::Close, Failure::Unknown, UpstreamClosed),
    ] {
        let error = stream_error(peer).await;
        assert_eq!(Failure::from_h2(&error), proof, "{error:?}");
        assert_eq!(Kind::of_h2(&error), kind, "{error:?}");
    }
}

#[test]
fn an_error_of_our_own_making_proves_nothing() {
    let ours = h2::Error::from(Reason::REFUSED_STREAM);
    assert_eq!(Failure::from_h2(&ours), Failure::Unknown);
}

/// The error of a request's stream, from a peer that answers with `peer` in raw frames.
async fn stream_error(peer: Peer) -> h2::Error {
    let (ours, mut theirs) = duplex(64 * 1024);
    let (mut send, connection) = h2::client::handshake(ours).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = Request::get("http://upstream/").body(()).unwrap();
    poll_fn(|cx| send.poll_ready(cx)).await.unwrap();
    let (answer, _) = send.send_request(request, true).unwrap();
    settings(&mut theirs).await;
    read_until_headers(&mut theirs).await;
    match peer {
        Peer::GoAway { last, code } => {
            let payload = [last.to_be_bytes(), u32::to_be_bytes(code)].concat();
            theirs.write_all(&frame(7, 0, &payload)).await.unwrap();
            drop(theirs);
        }
        Peer::Reset { code } => {
            theirs.write_all(&frame(3, 1, &u32::to_be_bytes(code))).await.unwrap();
        }
        Peer::Break => theirs.write_all(&frame(0, 0, b"data on stream 0")).await.unwrap(),
        Peer::Close => drop(theirs),
    }
    let error = answer.await.unwrap_err();
    driver.abort();
    error
}

async fn settings(peer: &mut DuplexStream) {
    peer.write_all(&frame(4, 0, &[])).await.unwrap();
}

/// Reads the preface, then frames until HEADERS.
async fn read_until_headers(peer: &mut DuplexStream) {
    const PREFACE: usize = 24;
    const HEADERS: u8 = 1;
    peer.read_exact(&mut [0; PREFACE]).await.unwrap();
    loop {
        let mut head = [0; 9];
        peer.read_exact(&mut head).await.unwrap();
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        peer.read_exact(&mut vec![0; len]).await.unwrap();
        if head[3] == HEADERS {
            return;
        }
    }
}

/// A frame without flags (RFC 9113, section 4.1).
fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = vec![len[1], len[2], len[3], kind, 0];
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}
