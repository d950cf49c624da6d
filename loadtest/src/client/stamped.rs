//! A TCP socket that can tell when the kernel received what was read last, so that the delay which
//! this client itself adds is known and not guessed. A coalesced read carries the last byte's stamp.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::client::clock::Mono;

/// When the kernel received what a connection read last; shared with its streams.
#[derive(Clone, Debug, Default)]
pub(super) struct KernelStamp(Option<Arc<AtomicU64>>);

impl KernelStamp {
    /// The stamp of the last read; `None` where stamps are not taken or none has come.
    pub(super) fn last(&self) -> Option<Mono> {
        let nanos = self.0.as_ref()?.load(Ordering::Relaxed);
        (nanos > 0).then_some(Mono(nanos))
    }
}

/// A TCP socket, with kernel receive stamps or without.
#[derive(Debug)]
pub(super) struct Stamped {
    tcp: TcpStream,
    stamp: KernelStamp,
    /// Where control messages are received; empty where stamps are not taken.
    control: Vec<u8>,
}

impl Stamped {
    /// Without stamps: reads as the socket does.
    pub(super) fn plain(tcp: TcpStream) -> Self {
        Self { tcp, stamp: KernelStamp::default(), control: Vec::new() }
    }

    /// With stamps; refused where the platform has none.
    #[cfg(target_os = "linux")]
    pub(super) fn stamping(tcp: TcpStream) -> io::Result<Self> {
        use nix::sys::socket::{setsockopt, sockopt::ReceiveTimestampns};
        setsockopt(&tcp, ReceiveTimestampns, &true)?;
        let stamp = KernelStamp(Some(Arc::default()));
        Ok(Self { tcp, stamp, control: nix::cmsg_space!(nix::sys::time::TimeSpec) })
    }

    /// With stamps; refused where the platform has none.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn stamping(_tcp: TcpStream) -> io::Result<Self> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "kernel receive timestamps are not available on this platform",
        ))
    }

    /// Where the stamps can be read.
    pub(super) fn stamp(&self) -> KernelStamp {
        self.stamp.clone()
    }

    #[cfg(target_os = "linux")]
    fn poll_stamped(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        stamp: &AtomicU64,
    ) -> Poll<io::Result<()>> {
        loop {
            std::task::ready!(self.tcp.poll_read_ready(cx))?;
            let (tcp, control) = (&self.tcp, &mut self.control);
            let unfilled = buf.initialize_unfilled();
            match tcp.try_io(tokio::io::Interest::READABLE, || receive(tcp, unfilled, control)) {
                Ok((count, at)) => {
                    buf.advance(count);
                    if let Some(at) = at {
                        stamp.store(at.0, Ordering::Relaxed);
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// Reads once, with the stamp brought over to the monotonic clock.
#[cfg(target_os = "linux")]
fn receive(
    tcp: &TcpStream,
    bytes: &mut [u8],
    control: &mut [u8],
) -> io::Result<(usize, Option<Mono>)> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    use rustix::time::{ClockId, clock_gettime};
    use std::os::fd::AsRawFd;

    let mut parts = [io::IoSliceMut::new(bytes)];
    let message = recvmsg::<()>(tcp.as_raw_fd(), &mut parts, Some(control), MsgFlags::empty())?;
    let stamp = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(at) => Some(at),
        _ => None,
    });
    let mono = stamp.map(|at| {
        // The kernel stamps on the clock that can be set; only the age is taken from it.
        let (now, real) = (Mono::now(), clock_gettime(ClockId::Realtime));
        let nanos = |seconds: i64, nanos: i64| seconds * 1_000_000_000 + nanos;
        let age = nanos(real.tv_sec, real.tv_nsec) - nanos(at.tv_sec(), at.tv_nsec());
        Mono(now.0.saturating_sub(u64::try_from(age).unwrap_or(0)))
    });
    Ok((message.bytes, mono))
}

impl AsyncRead for Stamped {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        #[cfg(target_os = "linux")]
        if let Some(stamp) = own.stamp.0.clone() {
            return own.poll_stamped(cx, buf, &stamp);
        }
        Pin::new(&mut own.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stamped {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}
