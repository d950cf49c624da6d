//! A request that is over, as exporters see it: one value, whose fields are filled while it runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode, Version};

use super::labels::LabelId;
use crate::error::Cause;
use crate::record::client_address::ClientAddress;
use crate::record::id::RequestId;
use crate::record::outcome::{FailoverReason, HedgeEnd, Outcome, Prevented};
use crate::record::pseudonym::Hashed;
use crate::record::usage::Usage;

/// Longer paths are cut to this many bytes: a client must not choose how much memory a line takes.
const PATH_BYTES: usize = 1024;

/// Longer methods are cut to this many bytes.
pub(in crate::record) const METHOD_BYTES: usize = 32;

/// Longer ids that a client gives are cut to this many bytes; a `traceparent` has 55.
const NAMED_BYTES: usize = 128;

/// What is known when a request's head has arrived.
#[derive(Debug, Clone)]
pub struct Opened {
    /// When the head was complete.
    pub at: Instant,
    /// The client's address; where a trusted proxy names it, the one behind that.
    pub client: ClientAddress,
    /// The client's HTTP version.
    pub version: Version,
    /// The request's method.
    pub method: Method,
    /// The request's path; a query in it is dropped, since keys travel there.
    pub path: String,
}

/// A request that is over. Its record hands it to the worker's ledger exactly once, and nothing else of a
/// request leaves its worker.
///
/// The access log reads it. An OTLP exporter is one more reader of the same value, on a thread that is no
/// worker: whatever it wants to tell that is not here yet is a field of [`Facts`], set where it happens.
/// There is no place for a query or a body, and of headers only for those that name a request: no key can get
/// in.
pub(in crate::record) struct Finished {
    pub(in crate::record) id: RequestId,
    pub(in crate::record) opened: Opened,
    pub(in crate::record) facts: Facts,
    pub(in crate::record) outcome: Outcome,
    /// From its head to its record's end.
    pub(in crate::record) duration: Duration,
}

/// What a request has been through. Everything but counts is optional, since it may end anywhere.
#[derive(Default)]
pub(in crate::record) struct Facts {
    pub(in crate::record) route: Option<LabelId>,
    /// Who answered, or was asked last.
    pub(in crate::record) upstream: Option<LabelId>,
    pub(in crate::record) upstream_version: Option<Version>,
    pub(in crate::record) upstream_status: Option<StatusCode>,
    pub(in crate::record) upstream_request_id: Option<String>,
    /// What the client was answered; `None` if it left before it was.
    pub(in crate::record) status: Option<StatusCode>,
    /// The beginning of the id of the kept stream that it began, read or stopped.
    pub(in crate::record) stream: Option<Box<str>>,
    /// The pattern that its model counts as; `None` where no rule needed its model, or it names none.
    pub(in crate::record) model: Option<LabelId>,
    /// The `code` of an error of ours.
    pub(in crate::record) fault: Option<&'static str>,
    /// Why, where an upstream failed.
    pub(in crate::record) cause: Option<Cause>,
    /// A connect had to finish first.
    pub(in crate::record) cold: bool,
    /// Of all leases together.
    pub(in crate::record) pool_wait: Option<Duration>,
    pub(in crate::record) upstream_ttfb: Option<Duration>,
    pub(in crate::record) upstream_first_body: Option<Duration>,
    pub(in crate::record) client_ttfb: Option<Duration>,
    pub(in crate::record) overhead_request: Option<Duration>,
    pub(in crate::record) overhead_head: Option<Duration>,
    pub(in crate::record) overhead_chunk_max: Option<Duration>,
    pub(in crate::record) gap_upstream_max: Option<Duration>,
    pub(in crate::record) gap_client_max: Option<Duration>,
    pub(in crate::record) cancel_max: Option<Duration>,
    pub(in crate::record) frames: u64,
    pub(in crate::record) bytes_up: u64,
    pub(in crate::record) bytes_down: u64,
    /// Bytes of the answer's body that were handed to the client's side, ours included.
    pub(in crate::record) bytes_sent: u64,
    pub(in crate::record) replays: u32,
    /// Who was asked before and left, and why. Empty, and without memory, for nearly every request.
    pub(in crate::record) left: Vec<(LabelId, FailoverReason)>,
    pub(in crate::record) retries: u32,
    pub(in crate::record) retry_wait: Option<Duration>,
    pub(in crate::record) prevented: Option<Prevented>,
    /// Boxed: few requests have one.
    pub(in crate::record) hedge: Option<Box<Hedged>>,
    /// Boxed for the same reason; none where nothing is logged, or clients are not known.
    pub(in crate::record) client: Option<Box<Charged>>,
    /// The same.
    pub(in crate::record) named: Option<Box<Named>>,
}

/// Whose a request is, and what it came to.
pub(in crate::record) struct Charged {
    /// The configured name.
    pub(in crate::record) name: Arc<str>,
    /// `None` where nothing was to be charged.
    pub(in crate::record) usage: Option<Usage>,
    /// Nanodollars.
    pub(in crate::record) cost: u64,
    pub(in crate::record) estimated: bool,
}

/// By which names others know a request.
#[derive(Default)]
pub(in crate::record) struct Named {
    /// The client's `x-request-id`.
    pub(in crate::record) request_id: Option<String>,
    /// W3C Trace Context.
    pub(in crate::record) traceparent: Option<String>,
    /// What names its end user, hashed; empty where the operator named nothing.
    pub(in crate::record) hashed: Hashed,
}

impl Named {
    /// `None` where a request has no such name.
    pub(in crate::record) fn of(
        request_id: Option<&str>,
        traceparent: Option<&str>,
        hashed: Hashed,
    ) -> Option<Box<Named>> {
        let short = |text: &str| cut(text, NAMED_BYTES).to_owned();
        let is_named = request_id.is_some() || traceparent.is_some() || !hashed.is_empty();
        let (request_id, traceparent) = (request_id.map(short), traceparent.map(short));
        is_named.then(|| Box::new(Named { request_id, traceparent, hashed }))
    }
}

/// A hedge that is over.
pub(in crate::record) struct Hedged {
    pub(in crate::record) to: LabelId,
    /// From asking the first to asking this one.
    pub(in crate::record) after: Duration,
    pub(in crate::record) end: HedgeEnd,
    /// The first failed, and is among those that were left.
    pub(in crate::record) first_is_left: bool,
}

impl Finished {
    /// Lets go of what must not rest in a batch, nor be seen.
    pub(super) fn shorten(&mut self) {
        if let Some(query) = self.opened.path.find(['?', '#']) {
            self.opened.path.truncate(query);
        }
        if self.opened.path.len() > PATH_BYTES {
            // A new string, so that the long one's memory does not rest in the batch.
            self.opened.path = Box::<str>::from(cut(&self.opened.path, PATH_BYTES)).into_string();
        }
    }
}

impl Facts {
    /// Upstreams that the request was sent to, each as often as it was.
    pub(in crate::record) fn attempts(&self) -> usize {
        // Of a hedge one of two is the upstream, and the other may be among those that were left.
        let beside = self.hedge.as_ref().is_some_and(|hedge| !hedge.first_is_left);
        self.left.len() + usize::from(self.upstream.is_some()) + usize::from(beside)
    }
}

/// `text` up to `bytes`, on a character's boundary.
pub(in crate::record) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(cut("añb", 3), "añ");
        assert_eq!(cut("abc", 10), "abc");
    }
}
