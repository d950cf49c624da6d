//! One attempt: the head goes up at once, the body follows as it comes, and the answer's head is
//! waited for meanwhile.

use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{Request, response};

use super::deadline::Deadline;
use super::replay::Failure;
use super::upload::Upload;
use crate::error::{Error, Kind};
use crate::record::Record;
use crate::upstream::{Broken, Lease, Sink, Source, Stream};

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the upstream's last taking of the body to the answer's head.
    pub head: Duration,
}

/// An answer that began.
pub struct Answer {
    /// Its head as the upstream sent it.
    pub head: response::Parts,
    /// Its body.
    pub source: Source,
    /// Where the rest of the request's body goes, if some is left: an upstream may answer early.
    pub sink: Sink,
}

/// An attempt that failed before the answer's head.
pub struct Attempt {
    /// What to tell the client.
    pub error: Error,
    /// What it proves about the upstream.
    pub failure: Failure,
}

/// Sends a request on a lease. Dropped at any moment, it resets the stream at once.
///
/// # Errors
/// The attempt, with what it proves.
pub async fn exchange(
    lease: Lease,
    head: Request<()>,
    upload: &mut Upload,
    limits: Limits,
    record: &Rc<Record>,
) -> Result<Answer, Attempt> {
    let Stream { mut sink, mut answering, lease } =
        lease.open(head, !upload.is_empty(), record).map_err(failed)?;
    let began = Instant::now();
    let mut deadline = Deadline::default();
    let mut uploading = !matches!(sink, Sink::Closed);
    let (head, body) = std::future::poll_fn(|cx| {
        if uploading {
            match upload.poll(cx, &mut sink) {
                Poll::Ready(Ok(())) => uploading = false,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(unproven(error))),
                Poll::Pending => {}
            }
        }
        if let Poll::Ready(answer) = answering.poll_head(cx) {
            return Poll::Ready(answer.map_err(failed));
        }
        let due = began.max(upload.progress()) + limits.head;
        deadline.poll(cx, due).map(|()| Err(unproven(Kind::HeadTimeout.into())))
    })
    .await?;
    let source = Source::new(body, lease, sink.is_closed());
    Ok(Answer { head, source, sink })
}

fn unproven(error: Error) -> Attempt {
    Attempt { error, failure: Failure::Unknown }
}

fn failed(broken: Broken) -> Attempt {
    match broken {
        Broken::Unsent(source) => {
            Attempt { error: Error::with(Kind::UpstreamClosed, source), failure: Failure::Unsent }
        }
        Broken::Http2(source) => {
            let failure = Failure::from_h2(&source);
            let kind = Kind::of_h2(&source);
            Attempt { error: Error::with(kind, source), failure }
        }
        Broken::Http1(source) => {
            let kind =
                if source.is_parse() { Kind::UpstreamProtocol } else { Kind::UpstreamClosed };
            unproven(Error::with(kind, source))
        }
    }
}
