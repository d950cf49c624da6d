//! An enum of two streams that is written to like either of them.

/// Implements [`tokio::io::AsyncWrite`] for an enum by what its two variants hold: one type, so that what lies
/// above is compiled once. What they hold is `Unpin`, or boxed.
macro_rules! delegate_write {
    ($name:ty: $one:ident, $other:ident) => {
        impl ::tokio::io::AsyncWrite for $name {
            #[inline]
            fn poll_write(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                match self.get_mut() {
                    Self::$one(io) => ::std::pin::Pin::new(io).poll_write(cx, buf),
                    Self::$other(io) => ::std::pin::Pin::new(io).poll_write(cx, buf),
                }
            }

            #[inline]
            fn poll_write_vectored(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                match self.get_mut() {
                    Self::$one(io) => ::std::pin::Pin::new(io).poll_write_vectored(cx, bufs),
                    Self::$other(io) => ::std::pin::Pin::new(io).poll_write_vectored(cx, bufs),
                }
            }

            fn is_write_vectored(&self) -> bool {
                match self {
                    Self::$one(io) => ::tokio::io::AsyncWrite::is_write_vectored(io),
                    Self::$other(io) => ::tokio::io::AsyncWrite::is_write_vectored(io),
                }
            }

            #[inline]
            fn poll_flush(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                match self.get_mut() {
                    Self::$one(io) => ::std::pin::Pin::new(io).poll_flush(cx),
                    Self::$other(io) => ::std::pin::Pin::new(io).poll_flush(cx),
                }
            }

            fn poll_shutdown(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                match self.get_mut() {
                    Self::$one(io) => ::std::pin::Pin::new(io).poll_shutdown(cx),
                    Self::$other(io) => ::std::pin::Pin::new(io).poll_shutdown(cx),
                }
            }
        }
    };
}

/// The same for [`tokio::io::AsyncRead`].
macro_rules! delegate_read {
    ($name:ty: $one:ident, $other:ident) => {
        impl ::tokio::io::AsyncRead for $name {
            #[inline]
            fn poll_read(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &mut ::tokio::io::ReadBuf<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                match self.get_mut() {
                    Self::$one(io) => ::std::pin::Pin::new(io).poll_read(cx, buf),
                    Self::$other(io) => ::std::pin::Pin::new(io).poll_read(cx, buf),
                }
            }
        }
    };
}

pub(crate) use {delegate_read, delegate_write};
