//! The face of an answer's body toward its writer (hyper for HTTP/2, `accept`'s own for HTTP/1.1): a
//! relayed download, or bytes of our own.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::download::Download;
use super::drive::{self, Driven, Patience};
use super::in_flight::TrackedBytes;
use crate::error::Error;

/// Where a download stands so that both its writer, through [`RelayBody`], and whoever drives the client's
/// task can reach it. Empty once the body is gone.
type Shared = Rc<RefCell<Option<Download>>>;

/// The body of every answer that we give.
pub struct RelayBody(Inner);

enum Inner {
    Relayed { download: Shared, length: Option<u64> },
    Own(Bytes, Option<Patience>),
}

impl RelayBody {
    /// An upstream's body; `length` is its `content-length`. To be called inside the client's task,
    /// which keeps the download going from then on.
    pub fn relayed(download: Download, length: Option<u64>) -> Self {
        let download = Rc::new(RefCell::new(Some(download)));
        drive::attach(Rc::<RefCell<Option<Download>>>::clone(&download));
        Self(Inner::Relayed { download, length })
    }

    /// Bytes of our own. With `patience`, a client that gives no window for them is given up.
    pub fn own(bytes: Bytes, patience: Option<Patience>) -> Self {
        Self(Inner::Own(bytes, patience))
    }
}

impl Driven for RefCell<Option<Download>> {
    fn begin_poll(&self) {
        if let Some(download) = &mut *self.borrow_mut() {
            download.begin_poll();
        }
    }

    fn drive(&self, cx: &mut Context<'_>) -> Option<Poll<()>> {
        self.borrow_mut().as_mut().map(|download| download.drive(cx))
    }

    fn is_there(&self) -> bool {
        self.borrow().is_some()
    }
}

impl Drop for RelayBody {
    /// The writer drops the body when it has ended, when the client has left and when the connection
    /// dies; the download goes with it although others still know where it stood.
    fn drop(&mut self) {
        if let Inner::Relayed { download, .. } = &self.0 {
            let gone = download.borrow_mut().take();
            drop(gone);
        }
    }
}

impl Body for RelayBody {
    type Data = TrackedBytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<TrackedBytes>, Error>>> {
        match &mut self.0 {
            Inner::Own(bytes, _) if bytes.is_empty() => Poll::Ready(None),
            Inner::Own(bytes, patience) => {
                if let Some(patience) = patience.take() {
                    drive::wait_for(patience);
                }
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes).into()))))
            }
            Inner::Relayed { download, .. } => match &mut *download.borrow_mut() {
                Some(download) => download.poll_frame(cx),
                None => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Own(bytes, _) => bytes.is_empty(),
            Inner::Relayed { download, .. } => {
                download.borrow().as_ref().is_none_or(Download::is_end)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Own(bytes, _) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Relayed { length: Some(length), .. } => SizeHint::with_exact(*length),
            Inner::Relayed { length: None, .. } => SizeHint::default(),
        }
    }
}
