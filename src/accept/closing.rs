//! The end of a connection whose client may still be sending.

use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;

use crate::transport::ClientSocket;

/// How long a client that was answered and is still sending is read from before we close: the kernel
/// would otherwise answer its bytes with a reset, which may overtake our answer.
const LINGER: Duration = Duration::from_secs(1);

/// And how many bytes at most.
const LINGER_BYTES: usize = 1024 * 1024;

/// Closes our side, and reads what the client is still sending for a while.
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
