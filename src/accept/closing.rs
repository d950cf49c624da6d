//! The end of a connection whose client may still be sending.

use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;

use crate::algo::lingering::Lingering;
use crate::relay::Deadline;
use crate::transport::ClientSocket;

/// How long a client of whose request nothing should be left is read from before we close: the kernel would
/// otherwise answer its bytes with a reset, which may overtake our answer.
const LINGER: Duration = Duration::from_secs(1);

/// And how many bytes at most.
const LINGER_BYTES: usize = 1024 * 1024;

/// Closes our side, and reads what the client may have sent meanwhile.
pub(super) async fn close(socket: &ClientSocket) {
    if socket.clone().shutdown().await.is_err() {
        return;
    }
    let mut left = LINGER_BYTES;
    let gone = std::future::poll_fn(|cx| {
        while left > 0 {
            socket.take_ahead(BytesMut::clear);
            match socket.poll_more(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0) | Err(_)) => break,
                Poll::Ready(Ok(read)) => left = left.saturating_sub(read),
            }
        }
        Poll::Ready(())
    });
    let _either = tokio::time::timeout(LINGER, gone).await;
}

/// Closes our side, and reads on for as long as a client sends that was answered before it had sent all.
pub(super) async fn linger(socket: &ClientSocket) {
    if socket.clone().shutdown().await.is_err() {
        return;
    }
    let (mut lingering, mut deadline) = (Lingering::new(Instant::now()), Deadline::default());
    std::future::poll_fn(|cx| {
        let mut came = 0;
        loop {
            socket.take_ahead(BytesMut::clear);
            match socket.poll_more(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(read)) => came += read,
            }
        }
        if came > 0 {
            lingering.came(came, Instant::now());
        }
        deadline.poll(cx, lingering.due())
    })
    .await;
}
