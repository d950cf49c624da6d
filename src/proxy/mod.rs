//! The path of one request:
//!
//! accept → **admit → route → upstream (lease) → relay → record**
//!
//! `attempts` sends it to one member of the route's group after the other until one answers; `attempt` is one
//! of them, and `hedge` is two at once where the operator wants that. Everything of a request lives in the
//! future below and then in its answer's body. Dropped at any moment (the client left, a deadline passed, the
//! process drains), it gives back its permit and its lease, resets the upstream's stream, and closes its record.

mod attempt;
mod attempts;
mod catch_panic;
mod client;
mod client_deadline;
mod health;
mod hedge;
mod page;
mod probe;
mod shed;

pub use client::Client;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderValue, Method, Request, Response, Version, request};

use crate::admit::{Admission, Limit, Page, Permit, Stock};
use crate::config::Config;
use crate::error::{Error, Kind};
use crate::record::{Opened, Record, Recorder};
use crate::relay::drive::Patience;
use crate::relay::head::UpstreamHead;
use crate::relay::{self, Answer, Bounds, Download, RelayBody, RequestBody, Upload};
use crate::route::{Groups, Table};
use crate::upstream::{HeadScan, HealthTracker, Marks, PoolHandle};
use attempts::{Answered, RequestContext};

/// One worker's proxy, as one configuration has it. A reload makes another one; requests under way keep
/// theirs.
pub struct Proxy {
    /// What the operator asked for.
    pub config: Arc<Config>,
    /// Where a path leads.
    pub table: Table,
    /// Who stands in for whom.
    pub groups: Groups,
    /// By [`crate::config::UpstreamId`].
    pub upstreams: Vec<Upstream>,
    /// Who may come in, over all workers.
    pub admission: Admission,
    /// What the worker holds for peers who do not take it.
    pub stock: Rc<Stock>,
    /// Opens records.
    pub recorder: Recorder,
}

/// An upstream as a worker needs it.
pub struct Upstream {
    /// Warm connections.
    pub pool: PoolHandle,
    /// What configuration says of every request's head.
    pub head: UpstreamHead,
    /// The operator's name for it, as a header's value.
    pub name: HeaderValue,
    /// Whether its groups ask it.
    pub health: Rc<HealthTracker>,
    /// Requests in flight to it, over all workers, where they are bounded.
    pub limit: Option<Limit>,
}

impl Proxy {
    /// Answers a request, whatever happens.
    pub async fn serve(
        &self,
        client: &Client,
        request: Request<RequestBody>,
    ) -> Response<RelayBody> {
        let record = self.open(client, &request);
        let id = record.id().header_value();
        let version = request.version();
        let bodyless = request.method() == Method::HEAD;
        let scan = HeadScan::of(request.headers());
        let page = match self.page(client, &request, scan.marks) {
            Ok(page) => page,
            Err(kind) => return self.refuse(&kind.into(), version, bodyless, &record),
        };
        if let Some(page) = &page
            && Page::asks_first(request.method(), request.headers())
        {
            return page::preflight(page, request.headers(), &record);
        }
        let interrupted = Interrupted { record: &record, client };
        let answered = {
            let forwarding = std::pin::pin!(self.forward(client, request, scan, &record, &id));
            catch_panic::catch_panic(forwarding).await
        };
        drop(interrupted);
        let mut answer = match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => self.refuse(&error, version, bodyless, &record),
            Err(catch_panic::Panicked) => {
                self.recorder.panicked();
                tracing::error!(id = id.to_str().unwrap_or_default(), "a request panicked");
                self.refuse(&Kind::Internal.into(), version, bodyless, &record)
            }
        };
        if let Some(page) = &page {
            page.may_see(answer.headers_mut());
        }
        answer
    }

    /// Answers a request that is not looked at: the connection that it came on may not stay.
    pub fn decline(
        &self,
        client: &Client,
        request: &Request<RequestBody>,
        kind: Kind,
    ) -> Response<RelayBody> {
        let record = self.open(client, request);
        let bodyless = request.method() == Method::HEAD;
        let mut answer = self.refuse(&kind.into(), request.version(), bodyless, &record);
        let marks = HeadScan::of(request.headers()).marks;
        if let Ok(Some(page)) = self.page(client, request, marks) {
            page.may_see(answer.headers_mut());
        }
        answer
    }

    fn open(&self, client: &Client, request: &Request<RequestBody>) -> Rc<Record> {
        self.recorder.open(Opened {
            at: client.wire.read_at(),
            client: client.address,
            version: request.version(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
        })
    }

    /// Answers what could not be read as a request on an HTTP/1.1 connection, or not to its end. It is
    /// recorded as one whose method and path are not known.
    pub fn turn_away(&self, client: &Client, kind: Kind) -> Response<RelayBody> {
        let unknown = Method::from_bytes(b"-").unwrap_or_default();
        let record = self.recorder.open(Opened {
            at: client.wire.read_at(),
            client: client.address,
            version: Version::HTTP_11,
            method: unknown,
            path: "-".to_owned(),
        });
        self.refuse(&kind.into(), Version::HTTP_11, false, &record)
    }

    /// The answer to a request that could not be forwarded, or whose upstream failed before its head.
    /// `bodyless`: asked for by HEAD.
    fn refuse(
        &self,
        error: &Error,
        version: Version,
        bodyless: bool,
        record: &Rc<Record>,
    ) -> Response<RelayBody> {
        let kind = error.kind();
        let (status, headers, body) = error.response_parts(&record.id().header_value());
        record.status(status);
        record.fault(kind.code());
        record.end(relay::outcome(kind.outcome()));
        if let Some(why) = shed::why(kind) {
            self.recorder.shed(why);
        }
        // Over HTTP/2 hyper would send a body to HEAD too, and the client reset the stream for that.
        let body = if bodyless { Bytes::new() } else { body };
        // Over HTTP/1.1 the socket has its own.
        let patience = (version >= Version::HTTP_2)
            .then(|| Patience::new(self.admission.pressure(), self.config.client.write_stall));
        let mut answer = Response::new(RelayBody::own(body, patience));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        if matches!(kind, Kind::BadRequest(_)) && version < Version::HTTP_2 {
            // What follows on this connection may be part of what was not understood.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    async fn forward(
        &self,
        client: &Client,
        request: Request<RequestBody>,
        scan: HeadScan,
        record: &Rc<Record>,
        id: &HeaderValue,
    ) -> Result<Response<RelayBody>, Error> {
        let (head, body) = request.into_parts();
        // A client that waits to be told to send its body sends none after a refusal.
        let sends = head.version < Version::HTTP_2 && !scan.marks.any(Marks::EXPECT);
        let limits = &self.config.limits;
        let pace = (self.config.client.body_idle, self.config.client.body_rate);
        let keep = (limits.replay_bytes, &self.stock);
        let upload = Upload::new(body, sends, keep, pace, record.opened_at(), record);
        let upload = RefCell::new(upload);
        if head.headers.len() > limits.headers {
            return Err(Kind::TooManyHeaders.into()); // HTTP/2's: of HTTP/1.1 no such head is whole
        }
        let until = if scan.marks.any(Marks::OURS) {
            client_deadline::until(&head.headers, record.opened_at())?
        } else {
            None
        };
        let reached = {
            let reaching = std::pin::pin!(self.reach(head, scan, until, &upload, record));
            client_deadline::within(until, reaching, record).await
        };
        let mut upload = upload.into_inner();
        match reached {
            Ok((permit, reached)) => {
                upload.settle();
                self.relay(client, reached, upload, until, record, (id, permit))
            }
            Err(error) => {
                if is_understood(error.kind()) {
                    relay::drive::discard_request_body(upload);
                }
                Err(error)
            }
        }
    }

    /// From a place under the bound to an answer that began.
    async fn reach(
        &self,
        head: request::Parts,
        scan: HeadScan,
        until: Option<Instant>,
        upload: &RefCell<Upload>,
        record: &Rc<Record>,
    ) -> Result<(Permit, Answered), Error> {
        let permit = self
            .admission
            .request(|| (!self.stock.is_full()).then(|| relay::head::bytes(&head, scan.size)))?;
        let path = head.uri.path().to_owned();
        let route = self.table.lookup(&path)?;
        let permit = self.admission.on_route(permit, route.route).inspect_err(|_full| {
            record.on_route(route.route);
        })?;
        // Both are there in every configuration that was checked.
        let group = self.groups.get(route.target).ok_or(Kind::Internal)?;
        let context = RequestContext { head: &head, scan, route, group, until, upload, record };
        let reached = self.failover(&context).await?;
        Ok((permit, reached))
    }

    fn relay(
        &self,
        client: &Client,
        reached: Answered,
        upload: Upload,
        until: Option<Instant>,
        record: &Rc<Record>,
        (id, permit): (&HeaderValue, Permit),
    ) -> Result<Response<RelayBody>, Error> {
        let upstream = &self.upstreams[reached.upstream.0];
        let Answer { mut head, scan, head_at, source, sink } = reached.answer;
        relay::head::answer(&mut head, scan.marks, id, self.config.via)?;
        if reached.by_group {
            head.headers.insert(relay::head::UPSTREAM, upstream.name.clone());
        }
        let request_id = head.headers.get("x-request-id").and_then(|id| id.to_str().ok());
        record.upstream_head(head_at, head.status, request_id);
        record.status(head.status);
        let length =
            scan.marks.any(Marks::LENGTH).then(|| head.headers.get(CONTENT_LENGTH)).flatten();
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let bounds = Bounds {
            first_frame: reached.clocks.first_frame,
            gap: reached.clocks.gap,
            until,
            stall: record.shares_connection().then_some(self.config.client.write_stall),
            buffered: upstream.pool.settings().pool.stream_window as usize,
            length,
        };
        let rest = if sink.is_closed() {
            relay::drive::discard_request_body(upload);
            None
        } else {
            Some((upload, sink))
        };
        let judged = reached.by_group && head.status.is_success();
        let answer_guard = judged.then(|| upstream.health.answer_guard(head_at));
        let buffered = (permit, &self.stock);
        let download =
            Download::new(source, rest, bounds, answer_guard, &client.wire, record, buffered);
        Ok(Response::from_parts(head, RelayBody::relayed(download, length)))
    }
}

/// A request whose answer has not begun: the record of one that goes with its connection says why that ended.
struct Interrupted<'a> {
    record: &'a Record,
    client: &'a Client,
}

impl Drop for Interrupted<'_> {
    fn drop(&mut self) {
        if let Some(kind) = self.client.wire.ended_by() {
            self.record.fault(kind.code());
        }
    }
}

/// Whether the rest of a refused request is worth reading: it is a body, and somebody sends it.
fn is_understood(kind: Kind) -> bool {
    !matches!(kind, Kind::BadRequest(_) | Kind::BodyIdle | Kind::BodySlow | Kind::ClientGone)
}
