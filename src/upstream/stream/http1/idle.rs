//! Between two requests: whether the connection can carry another, and waiting for its end.
//!
//! A server closes what was idle for too long (uvicorn and Node after five seconds), and a request that crosses
//! its FIN is lost. So the end is looked for twice: the connection's own task is woken by the socket while nobody
//! asks, and whoever is about to ask looks at what the kernel has.

use std::io;
use std::pin::Pin;
use std::rc::Weak;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf};

use super::{Exchange, Link, Receiving, Sending};
use crate::upstream::socket::Unread;

/// Waits for the connection's end, whoever ends it. It holds the connection weakly: once pool and leases have let
/// go, the socket is closed.
pub(in crate::upstream) async fn watch(link: Weak<Link>) {
    std::future::poll_fn(|cx| match link.upgrade() {
        Some(link) => link.poll_end(cx),
        None => Poll::Ready(()),
    })
    .await;
}

impl Link {
    /// Whether a request can begin: the peer has said nothing since the last one, and the connection is not idle
    /// for `longest`. The last look before it is used, at the price of one system call.
    pub(in crate::upstream) fn is_sound(&self, longest: Duration, now: Instant) -> bool {
        let exchange = self.exchange.borrow();
        let Some(socket) = &exchange.socket else { return false };
        self.idle_for(now) < longest && socket.unread() == Unread::Nothing
    }

    /// For how long nothing was read or written.
    pub(in crate::upstream) fn idle_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.wire.read_at().max(self.wire.written_at()))
    }

    /// The request's lease goes. Whether the connection can carry another one: both sides are at their ends and want
    /// it, and nothing came that nobody asked for.
    pub(in crate::upstream) fn rest(&self) -> bool {
        let mut exchange = self.exchange.borrow_mut();
        if !exchange.is_clean() {
            return false;
        }
        exchange.receiving = Receiving::Nothing;
        // From now on the socket wakes the connection's own task, which need not be polled for that.
        match &*self.watcher.borrow() {
            Some(watcher) => exchange.poll_idle(&mut Context::from_waker(watcher)).is_pending(),
            None => true,
        }
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut watcher = self.watcher.borrow_mut();
        if !watcher.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *watcher = Some(cx.waker().clone());
        }
        drop(watcher);
        let mut exchange = self.exchange.borrow_mut();
        if exchange.socket.is_some() {
            if !matches!(exchange.receiving, Receiving::Nothing) {
                // Whoever asks polls the socket, and sees its end.
                return Poll::Pending;
            }
            if exchange.poll_idle(cx).is_pending() {
                return Poll::Pending;
            }
            exchange.socket = None;
        }
        Poll::Ready(())
    }
}

impl Exchange {
    fn is_clean(&self) -> bool {
        matches!((&self.receiving, &self.sending), (Receiving::Done, Sending::Done))
            && self.persists
            && !self.unflushed
            && self.ahead.is_empty()
            && self.socket.is_some()
    }

    /// Ready when the peer has closed, or says what nobody asked for: either way nothing more is asked of it. What
    /// TLS has to say by itself is none of that.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(socket) = &mut self.socket else { return Poll::Ready(Ok(())) };
        let mut byte = [0];
        Pin::new(socket).poll_read(cx, &mut ReadBuf::new(&mut byte))
    }
}

impl Drop for Link {
    /// Closes it in the words of TLS where nothing is under way, and ends its task.
    fn drop(&mut self) {
        let exchange = self.exchange.get_mut();
        if matches!(exchange.receiving, Receiving::Nothing)
            && let Some(socket) = &mut exchange.socket
        {
            socket.take_leave();
        }
        exchange.socket = None;
        if let Some(watcher) = self.watcher.take() {
            watcher.wake();
        }
    }
}
