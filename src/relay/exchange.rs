//! One attempt: the head goes up at once, the body follows as it comes, and the answer's head is
//! waited for meanwhile.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::{Request, response};

use super::deadline::Deadline;
use super::head::pass_hints;
use super::upload::Upload;
use crate::admit::FirstByte;
use crate::error::{Cause, Error, Kind};
use crate::proto::http1::Hints;
use crate::record::{Clock, Oversize, Record};
use crate::upstream::{Broken, Failure, HeadScan, Lease, RecvBody, SendBody, Stream};

/// The three clocks of an upstream, and whether the second runs before the client has the head.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    /// From the upstream's last taking of the body to the answer's head.
    pub head: Duration,
    /// From there to the first frame of the body.
    pub first_frame: Duration,
    /// Between two frames.
    pub gap: Duration,
    /// A successful answer counts as begun only with its first frame, so that another upstream can
    /// still be asked until then.
    pub hold_head: bool,
}

/// An answer that began.
pub struct Answer {
    /// Its head as the upstream sent it.
    pub head: response::Parts,
    /// What its lines are.
    pub scan: HeadScan,
    /// When that was read.
    pub head_at: Instant,
    /// Its body.
    pub source: RecvBody,
    /// Where the rest of the request's body goes, if some is left: an upstream may answer early.
    pub sink: SendBody,
    /// The timer that the head was waited with: the body's deadlines are later, so that it need not be armed
    /// again.
    pub deadline: Deadline,
    /// Waits for the body's first byte, where a limit follows it.
    pub first_byte: Option<Box<FirstByte>>,
}

/// An attempt that failed before the answer's head.
pub struct Attempt {
    /// What to tell the client.
    pub error: Error,
    /// What it proves about the upstream.
    pub failure: Failure,
}

/// Sends a request on a lease. Dropped at any moment, it resets the stream at once. `upload` is borrowed
/// inside a poll only: between two, whoever drives this may look at it. Early hints go to `hints`.
///
/// # Errors
/// The attempt, with what it proves.
pub async fn exchange(
    lease: Lease,
    head: Request<()>,
    upload: &RefCell<Upload>,
    clocks: Clocks,
    record: &Rc<Record>,
    hints: &Hints,
) -> Result<Answer, Attempt> {
    let has_body = !upload.borrow().is_empty();
    let Stream { mut sink, mut response, lease } =
        lease.open(head, has_body, record).map_err(|broken| {
            let why = broken.cause();
            failed(broken, None, why)
        })?;
    let began = Instant::now();
    let mut deadline = Deadline::default();
    let mut uploading = !matches!(sink, SendBody::Closed);
    let (head, scan, body) = std::future::poll_fn(|cx| {
        // What was ended must take nothing more before it goes.
        if uploading && !upload.borrow().is_ended() {
            match upload.borrow_mut().poll(cx, &mut sink) {
                Poll::Ready(Ok(())) => uploading = false,
                Poll::Ready(Err(error)) => {
                    if error.kind() == Kind::TrailersTooLarge {
                        lease.oversize(Oversize::Request);
                    }
                    return Poll::Ready(Err(unproven(error)));
                }
                Poll::Pending => {}
            }
        }
        if let Poll::Ready(error) = upload.borrow_mut().poll_ended(cx) {
            return Poll::Ready(Err(unproven(error)));
        }
        let mut pass = |interim| pass_hints(interim, hints);
        if let Poll::Ready(answer) = response.poll_head(cx, lease.head_limit(), &mut pass) {
            return Poll::Ready(answer.map_err(|broken| {
                if matches!(broken, Broken::HeadTooLarge(_)) {
                    lease.oversize(Oversize::Answer);
                }
                let why = lease.why(&broken);
                failed(broken, lease.accused(), why)
            }));
        }
        let due = began.max(upload.borrow().progress()) + clocks.head;
        ready!(deadline.poll(cx, due));
        record.timed_out(Clock::ResponseHead);
        Poll::Ready(Err(unproven(Kind::HeadTimeout.into())))
    })
    .await?;
    lease.answered();
    let source = RecvBody::new(body, lease);
    let mut answer =
        Answer { head_at: source.read_at(), head, scan, source, sink, deadline, first_byte: None };
    if clocks.hold_head && answer.head.status.is_success() {
        let due = answer.head_at + clocks.first_frame;
        std::future::poll_fn(|cx| poll_begun(cx, &mut answer, upload, due)).await.inspect_err(
            |failed| {
                if failed.error.kind() == Kind::FirstFrameTimeout {
                    record.timed_out(Clock::FirstFrame);
                }
            },
        )?;
    }
    Ok(answer)
}

/// Ready once the first frame of an answer's body is there, or its end.
fn poll_begun(
    cx: &mut Context<'_>,
    answer: &mut Answer,
    upload: &RefCell<Upload>,
    due: Instant,
) -> Poll<Result<(), Attempt>> {
    if !answer.sink.is_closed()
        && let Poll::Ready(Err(error)) = upload.borrow_mut().poll(cx, &mut answer.sink)
    {
        return Poll::Ready(Err(unproven(error)));
    }
    if let Poll::Ready(begun) = answer.source.poll_begun(cx) {
        // Whatever the protocol says of it, this upstream began to answer: nothing is proven.
        let cut = |broken: Broken| unproven(answer.source.cut(broken));
        return Poll::Ready(begun.map_err(cut));
    }
    answer.deadline.poll(cx, due).map(|()| Err(unproven(Kind::FirstFrameTimeout.into())))
}

fn unproven(error: Error) -> Attempt {
    Attempt { error, failure: Failure::Unknown }
}

/// `accused`: with which word the upstream ended the connection, where this stream may be why.
fn failed(broken: Broken, accused: Option<Cause>, cause: Cause) -> Attempt {
    match broken {
        Broken::Unsent(source) => {
            let error = Error::with(Kind::UpstreamClosed, source).because(cause);
            Attempt { error, failure: Failure::Unsent }
        }
        Broken::Http2(source) => {
            let (failure, kind) = (Failure::from_h2(&source), Kind::of_h2(&source));
            // Below the GOAWAY's last stream it fails with the connection, by an error that says nothing.
            if let Some(accused) = accused
                && !source.is_reset()
                && failure == Failure::Unknown
            {
                let error = Error::with(Kind::UpstreamGoaway, source).because(accused);
                return Attempt { error, failure: Failure::Suspect };
            }
            Attempt { error: Error::with(kind, source).because(cause), failure }
        }
        Broken::Told(error) => unproven(*error),
        Broken::Interims => unproven(Kind::UpstreamInterim.into()),
        Broken::Switched => unproven(Kind::UpgradeRefused.into()),
        Broken::HeadTooLarge(_) => unproven(Error::new(Kind::AnswerHeadTooLarge).because(cause)),
        Broken::Http1(fault) => {
            let kind =
                if fault.is_closed() { Kind::UpstreamClosed } else { Kind::UpstreamProtocol };
            unproven(Error::with(kind, fault).because(cause))
        }
        Broken::Closed(source) => {
            unproven(Error::with(Kind::UpstreamClosed, source).because(cause))
        }
    }
}
