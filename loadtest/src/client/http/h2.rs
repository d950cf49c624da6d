//! The HTTP/2 exchange, on the `h2` crate: many streams share one connection, whose driver is a
//! task of its own and ends when the last handle is gone.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{ResponseFuture, SendRequest};
use http::Version;
use http::header::{CONNECTION, HOST};
use http::uri::{Authority, Uri};

use super::io::Io;
use crate::client::clock::Mono;
use crate::client::outcome::{Failure, FailureKind};
use crate::client::pace::Pacer;
use crate::client::progress::{Progress, Watch};
use crate::client::request::Request;
use crate::client::stamped::KernelStamp;

/// Receive window of a stream, in bytes: more than a client that always reads can have unread.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// Receive window of a connection, in bytes. Half of it is h2's budget for small frames, which
/// must not run out when many streams burst at once.
const CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;

/// An HTTP/2 connection; a clone shares it.
#[derive(Clone, Debug)]
pub struct H2 {
    send: SendRequest<Bytes>,
    scheme: &'static str,
    authority: Authority,
    closed: Arc<AtomicBool>,
    stamp: KernelStamp,
}

impl H2 {
    pub(in crate::client) async fn open(
        io: Io,
        scheme: &'static str,
        authority: Authority,
        stamp: KernelStamp,
    ) -> Result<Self, h2::Error> {
        let (send, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .enable_push(false)
            .handshake(io)
            .await?;
        let closed = Arc::new(AtomicBool::new(false));
        let driven = closed.clone();
        tokio::spawn(async move {
            // Each stream sees the connection's error as its own.
            let _ = connection.await;
            driven.store(true, Ordering::Relaxed);
        });
        Ok(Self { send, scheme, authority, closed, stamp })
    }

    pub(in crate::client) fn is_open(&mut self) -> bool {
        if self.closed.load(Ordering::Relaxed) {
            return false;
        }
        let mut context = Context::from_waker(std::task::Waker::noop());
        !matches!(self.send.poll_ready(&mut context), Poll::Ready(Err(_)))
    }

    /// Streams that the peer allows at a time, as far as its SETTINGS have come.
    pub(in crate::client) fn stream_limit(&self) -> usize {
        self.send.current_max_send_streams()
    }

    pub(in crate::client) async fn exchange<W: Watch>(
        &mut self,
        request: &Request,
        pacer: &mut Pacer,
        progress: &mut Progress<'_, W>,
    ) -> Result<(), Failure> {
        poll_fn(|cx| self.send.poll_ready(cx)).await.map_err(|error| broken(progress, &error))?;
        let head = self.head(request)?;
        let bodiless = request.body.is_empty();
        let (answer, mut body) =
            self.send.send_request(head, bodiless).map_err(|error| broken(progress, &error))?;
        if !bodiless {
            // The bytes are shared, so queueing them all costs nothing; the peer's window paces.
            body.send_data(request.body.clone(), true).map_err(|error| broken(progress, &error))?;
        }
        progress.sent(Mono::now());
        read(answer, &self.stamp, pacer, progress).await
    }

    fn head(&self, request: &Request) -> Result<http::Request<()>, Failure> {
        let wrong = |error: &dyn ToString| Failure::new(FailureKind::Protocol, error);
        let uri = Uri::builder()
            .scheme(self.scheme)
            .authority(self.authority.clone())
            .path_and_query(request.path.clone())
            .build()
            .map_err(|error| wrong(&error))?;
        let mut head = http::Request::new(());
        *head.method_mut() = request.method.clone();
        *head.uri_mut() = uri;
        *head.version_mut() = Version::HTTP_2;
        *head.headers_mut() = request.headers.clone();
        head.headers_mut().remove(CONNECTION);
        head.headers_mut().remove(HOST);
        Ok(head)
    }
}

async fn read<W: Watch>(
    answer: ResponseFuture,
    stamp: &KernelStamp,
    pacer: &mut Pacer,
    progress: &mut Progress<'_, W>,
) -> Result<(), Failure> {
    let response = answer.await.map_err(|error| broken(progress, &error))?;
    let (head, mut body) = response.into_parts();
    progress.head(Mono::now(), head.status, head.headers);
    poll_fn(|cx| drain(&mut body, stamp, pacer, cx, progress)).await?;
    let trailers = poll_fn(|cx| body.poll_trailers(cx)).await;
    if let Some(trailers) = trailers.map_err(|error| broken(progress, &error))? {
        progress.trailers(trailers);
    }
    Ok(())
}

/// Takes every frame that is there, or as many as the pace allows; those of one poll share one stamp, as those of one read do.
fn drain<W: Watch>(
    body: &mut RecvStream,
    stamp: &KernelStamp,
    pacer: &mut Pacer,
    cx: &mut Context<'_>,
    progress: &mut Progress<'_, W>,
) -> Poll<Result<(), Failure>> {
    let (mut now, mut taken) = (None, 0);
    let end = loop {
        if pacer.poll_read(cx).is_pending() {
            break Poll::Pending;
        }
        match body.poll_data(cx) {
            Poll::Pending => break Poll::Pending,
            Poll::Ready(None) => break Poll::Ready(Ok(())),
            Poll::Ready(Some(Err(error))) => {
                break Poll::Ready(Err(broken(progress, &error)));
            }
            Poll::Ready(Some(Ok(bytes))) => {
                let now = *now.get_or_insert_with(|| {
                    let now = Mono::now();
                    progress.woke(now, stamp);
                    now
                });
                progress.body(now, &bytes);
                pacer.took(bytes.len());
                taken += bytes.len();
            }
        }
    };
    // Once for all: each release takes the connection's lock. It fails only on a stream that is
    // gone, which polling reports.
    let _ = body.flow_control().release_capacity(taken);
    end
}

fn broken<W: Watch>(progress: &Progress<'_, W>, error: &h2::Error) -> Failure {
    let broke_protocol = error.is_library() || (error.is_go_away() && !error.is_remote());
    let kind = match (progress.has_head(), broke_protocol) {
        (_, true) => FailureKind::Protocol,
        (true, false) => FailureKind::Reset,
        (false, false) => FailureKind::NoHead,
    };
    Failure::new(kind, error)
}
