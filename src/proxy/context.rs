//! What a request is to everything on its path.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, request};

use super::Client;
use crate::admit::Caller;
use crate::record::Record;
use crate::relay::Upload;
use crate::route::{Group, Match};
use crate::upstream::HeadScan;

/// A request as it came in, from its head to the head of its answer.
#[derive(Clone, Copy)]
pub(super) struct RequestContext<'a> {
    /// The connection that it came on.
    pub(super) client: &'a Client,
    /// As the client sent it.
    pub(super) head: &'a request::Parts,
    /// What the lines of the head are.
    pub(super) scan: HeadScan,
    /// What it leaves behind.
    pub(super) record: &'a Rc<Record>,
    /// Whose request it is, where clients are known; `None` until that is seen.
    pub(super) caller: Option<&'a Arc<Caller>>,
    /// The request id, as a header's value.
    pub(super) id: &'a HeaderValue,
    /// The end of the client's own time; `None` until the header that gives it was read.
    pub(super) until: Option<Instant>,
}

impl<'a> RequestContext<'a> {
    /// Of a request of which nothing is known but its head.
    pub(super) fn new(
        client: &'a Client,
        head: &'a request::Parts,
        record: &'a Rc<Record>,
        id: &'a HeaderValue,
    ) -> Self {
        let scan = HeadScan::of(&head.headers);
        Self { client, head, scan, record, id, caller: None, until: None }
    }
}

/// A request whose route is known, as every attempt at it needs it. A hedge has an upload and a record of
/// its own.
#[derive(Clone, Copy)]
pub(super) struct RoutedRequest<'a> {
    pub(super) context: &'a RequestContext<'a>,
    pub(super) route: Match<'a>,
    pub(super) group: &'a Group,
    pub(super) upload: &'a RefCell<Upload>,
}
