//! A socket that gives up a peer which takes nothing.
//!
//! It lies under TLS, beside the stamps: whether a peer takes anything is known of the socket alone.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::stamped::Stamped;
use super::wire::Wire;

/// A stamped socket with a deadline for its writes: one that makes no progress for that long fails with
/// [`io::ErrorKind::TimedOut`], and the [`Wire`] says that it stalled.
pub struct WriteStall<S> {
    socket: Stamped<S>,
    after: Duration,
    /// Runs while the socket takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteStall<S> {
    /// A write on `socket` may wait for at most `after`.
    pub fn new(socket: Stamped<S>, after: Duration) -> Self {
        Self { socket, after, stall: None }
    }

    /// What is known of the socket.
    pub fn wire(&self) -> &Rc<Wire> {
        self.socket.wire()
    }

    /// The kernel gives up a peer whose window stays shut (`TCP_USER_TIMEOUT`), and may do so before
    /// our own deadline: it is the same stall, and whoever reads or writes next finds it.
    fn failed(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::TimedOut {
            self.wire().stall();
        }
    }

    fn written(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &wrote {
            Poll::Ready(Ok(_)) => {
                if self.stall.is_some() {
                    self.stall = None;
                }
            }
            Poll::Ready(Err(error)) => self.failed(error),
            Poll::Pending => return self.poll_stall(cx),
        }
        wrote
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let after = self.after;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(after)));
        ready!(stall.as_mut().poll(cx));
        self.wire().stall();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsFd> AsFd for WriteStall<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteStall<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.socket).poll_read(cx, buf));
        Poll::Ready(read.inspect_err(|error| self.failed(error)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteStall<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.written(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.written(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tokio::io::AsyncWriteExt;

    const DEADLINE: Duration = Duration::from_secs(10);

    /// A socket that the kernel has given up.
    struct GivenUp(io::ErrorKind);

    impl AsyncRead for GivenUp {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Ready(Err(self.0.into()))
        }
    }

    impl AsyncWrite for GivenUp {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(self.0.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_peer_that_the_kernel_gave_up_has_stalled_and_one_that_left_has_not() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        for (kind, stalled) in
            [(io::ErrorKind::TimedOut, true), (io::ErrorKind::ConnectionReset, false)]
        {
            let socket = || WriteStall::new(Stamped::new(GivenUp(kind), Instant::now()), DEADLINE);
            let mut read = socket();
            let (mut room, wire) = ([0; 1], Rc::clone(read.wire()));
            let mut buf = ReadBuf::new(&mut room);
            assert!(Pin::new(&mut read).poll_read(&mut cx, &mut buf).is_ready());
            assert_eq!(wire.stalled(), stalled);
            let mut written = socket();
            assert!(Pin::new(&mut written).poll_write(&mut cx, b"x").is_ready());
            assert_eq!(written.wire().stalled(), stalled);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_makes_no_progress_fails_and_each_byte_taken_begins_its_time_again() {
        let (near, mut far) = tokio::io::duplex(4);
        let mut near = WriteStall::new(Stamped::new(near, Instant::now()), DEADLINE);
        let wire = Rc::clone(near.wire());
        let start = tokio::time::Instant::now();
        let takes = async {
            tokio::time::sleep(DEADLINE / 2).await;
            tokio::io::AsyncReadExt::read_exact(&mut far, &mut [0; 4]).await.unwrap();
            far
        };
        let (wrote, _far) = tokio::join!(near.write_all(b"twelve bytes"), takes);
        assert_eq!(wrote.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), (DEADLINE + DEADLINE / 2).as_secs());
        assert!(wire.stalled());
    }
}
