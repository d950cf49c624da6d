//! Drives a download while its writer does not ask for it: backpressure from a slow reader must not become head-of-line
//! blocking for the streams beside it.
//!
//! The writer (hyper for HTTP/2, `accept`'s own for HTTP/1.1) asks a body for more only when it can
//! write. Until then the upstream's frames would pile up unread on a connection that other streams
//! share, and a client that stopped reading would stop nobody but be noticed by nobody. So every task
//! in which a writer may hold a body is polled through [`BodySlot::poll`]: after each poll it looks whether
//! the writer asked, and if not, drains and watches.
//!
//! A body is made inside such a poll, deep in other hands; a thread-local says in whose.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::deadline::Deadline;
use super::upload::Upload;
use crate::admit::Pressure;

thread_local! {
    static POLLED: RefCell<Option<BodySlot>> = const { RefCell::new(None) };
}

/// What a task keeps going beside its writer: a download, as long as its body lives.
pub(super) trait Driven {
    /// A poll of the client's task begins.
    fn begin_poll(&self);
    /// After each poll; ready when the client was given up. `None` where it is gone.
    fn drive(&self, cx: &mut Context<'_>) -> Option<Poll<()>>;
    /// It is still under way.
    fn is_there(&self) -> bool;
}

/// The place in a task where the download of the moment sits; at most one, since HTTP/1.1 answers one
/// request at a time and HTTP/2 has a task for each stream.
#[derive(Clone, Default)]
pub struct BodySlot(Rc<Bodies>);

#[derive(Default)]
struct Bodies {
    download: RefCell<Option<Rc<dyn Driven>>>,
    /// A request's body that nobody takes any more; see [`discard_request_body`].
    rest: RefCell<Option<Upload>>,
    /// With a client that has not taken all of an answer of our own.
    patience: RefCell<Option<Patience>>,
}

/// How long an answer of our own waits for a client's window: not at all while memory is short. The
/// stream would otherwise stay for as long as the client likes, and be one that was refused.
pub struct Patience {
    pressure: Pressure,
    stall: Duration,
    since: Option<Instant>,
    deadline: Deadline,
}

impl Patience {
    /// At most `stall`.
    pub fn new(pressure: &Pressure, stall: Duration) -> Self {
        let (pressure, deadline) = (pressure.clone(), Deadline::default());
        Self { pressure, stall, since: None, deadline }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.pressure.is_short() {
            return Poll::Ready(());
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        self.deadline.poll(cx, since + self.stall)
    }
}

/// An answer of our own was handed over in the task that is being polled.
pub(super) fn wait_for(patience: Patience) {
    POLLED.with_borrow(|polled| {
        if let Some(slot) = polled {
            slot.0.patience.replace(Some(patience));
        }
    });
}

/// Puts a download into the slot of the task that is being polled.
pub(super) fn attach(download: Rc<dyn Driven>) {
    POLLED.with_borrow(|polled| {
        if let Some(slot) = polled {
            slot.0.download.replace(Some(download));
        }
    });
}

/// Lets the rest of a request's body go by that nobody takes any more, within bounds, in the task that
/// is being polled. Otherwise HTTP/1.1 closes after the answer under a client that is still sending, and HTTP/2
/// resets its stream: many see that in the answer's place.
pub fn discard_request_body(rest: Upload) {
    if rest.is_coming() {
        POLLED.with_borrow(|polled| {
            if let Some(slot) = polled {
                slot.0.rest.replace(Some(rest));
            }
        });
    }
}

impl BodySlot {
    /// Polls a task in whose hands a body may be made or held. Ready with `None` when
    /// the client was given up; the task is then to be dropped.
    pub fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Option<T>> {
        if let Some(download) = &*self.0.download.borrow() {
            download.begin_poll();
        }
        let before = POLLED.replace(Some(self.clone()));
        let polled = poll(cx);
        let driven = if polled.is_pending() {
            self.0.download.borrow().as_ref().and_then(|download| download.drive(cx))
        } else {
            None
        };
        POLLED.set(before);
        if let Poll::Ready(done) = polled {
            return Poll::Ready(Some(done));
        }
        let _still_sends = self.poll_rest(cx);
        match driven {
            Some(Poll::Ready(())) => Poll::Ready(None),
            _ => self.poll_patience(cx),
        }
    }

    /// A download is under way, or what is left of its request.
    pub fn is_taken(&self) -> bool {
        let download = self.0.download.borrow();
        download.as_ref().is_some_and(|download| download.is_there())
            || self.0.rest.borrow().is_some()
    }

    /// Ready once nothing is left of a request's body that is let go by.
    fn poll_rest(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut rest = self.0.rest.borrow_mut();
        if let Some(upload) = &mut *rest {
            ready!(upload.poll_discard(cx));
            *rest = None;
        }
        Poll::Ready(())
    }

    /// As the task is polled: ready with `None` where its client is waited for no longer.
    fn poll_patience<T>(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match &mut *self.0.patience.borrow_mut() {
            Some(patience) => patience.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    }
}

/// [`BodySlot::poll`] for a task that is nothing but hyper's future: an HTTP/2 stream. It goes on after the answer's
/// end while the client still sends its request: the stream is reset when the last handle to it goes.
pub async fn driven<F: Future + Unpin>(task: F) -> Option<F::Output> {
    let mut task = Some(task);
    let slot = BodySlot::default();
    let done = std::future::poll_fn(|cx| {
        slot.poll(cx, |cx| {
            let Some(running) = &mut task else { return Poll::Pending };
            let polled = Pin::new(running).poll(cx);
            if polled.is_ready() {
                // Here, where what is left of the request finds its place.
                task = None;
            }
            polled
        })
    })
    .await?;
    std::future::poll_fn(|cx| slot.poll_rest(cx)).await;
    Some(done)
}
