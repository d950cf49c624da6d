//! HTTP/2 toward an upstream, on the `h2` crate itself: the request is queued in the caller's own
//! poll, the caller is woken directly, and the limits that decide who dies with whom are ours.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, SendStream};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Broken;
use super::parcel::Parcel;
use crate::config;

/// Streams that we reset are remembered this long, so that frames already on their way to them are
/// not counted as the peer's fault (a cancel storm would otherwise end the connection).
const RESET_MEMORY: Duration = Duration::from_secs(10);

/// And this many at most.
const RESET_STREAMS: usize = 4096;

/// Bytes of one request's body that may wait in h2 for the socket (400 KiB unless set): an upstream that
/// reads slowly makes us hold no more of each. The kernel's own buffer is what keeps the path full.
const SEND_BUFFER: usize = 64 * 1024;

/// What h2 keeps at most of a head. What we take is less, and decided over each head
/// ([`crate::upstream::HeadLimit`]): a larger one fails its stream with a reason of its own, and trailers that h2 cuts
/// short can be told from whole ones. h2 ends the connection, and every stream on it, at four times this: 64
/// MiB are what 16 KiB of references to the largest field can make, the most that one frame holds.
const READS: u32 = 16 * 1024 * 1024;

/// The handshake with our limits; the connection still has to be driven.
pub(in crate::upstream) fn builder(pool: &config::Pool) -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(pool.stream_window)
        .initial_connection_window_size(pool.connection_window)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(RESET_STREAMS)
        .reset_stream_duration(RESET_MEMORY)
        .max_local_error_reset_streams(None)
        // Each unread frame under 256 bytes costs up to 255 of this budget. Frames are at least a
        // byte and unread bytes are at most the window, so that this cannot run out before the
        // window does: the window stays the one bound. The relay drains promptly besides.
        .data_frame_budget((pool.connection_window as usize).saturating_mul(255))
        .max_header_list_size(READS)
        .enable_push(false);
    builder
}

/// Drives a new connection until the peer has answered a PING, and so has sent its SETTINGS, which
/// come first (RFC 9113, section 3.4).
pub(in crate::upstream) async fn warm<T>(
    connection: &mut Connection<T, Parcel>,
) -> Result<PingPong, Box<dyn std::error::Error + Send + Sync>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut pings = connection.ping_pong().ok_or("the connection's PINGs are taken")?;
    pings.send_ping(Ping::opaque())?;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(ended) = Pin::new(&mut *connection).poll(cx) {
            return Poll::Ready(match ended {
                Ok(()) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Err(error) => Err(error.into()),
            });
        }
        pings.poll_pong(cx).map(|pong| pong.map(drop).map_err(Into::into))
    })
    .await
    .map(|()| pings)
}

/// Queues a request. The connection's task is woken to write it.
pub(in crate::upstream) fn open(
    sender: &RefCell<SendRequest<Parcel>>,
    head: Request<()>,
    has_body: bool,
) -> Result<(SendStream<Parcel>, ResponseFuture), Broken> {
    let (response, sending) = sender
        .borrow_mut()
        .send_request(head, !has_body)
        .map_err(|error| Broken::Unsent(error.into()))?;
    Ok((sending, response))
}
