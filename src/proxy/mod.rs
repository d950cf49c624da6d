//! The path of one request:
//!
//! accept → **admit → route → upstream (lease) → relay → record**
//!
//! `clients` asks who it is, where that is to be known, and whether its limits let it in. `models` says where it goes by
//! its model; `events` and `streams` answer what goes to nobody. `attempts` sends it to one member of the route's group after
//! the other until one answers; `attempt` is one of them (`adapt` has limits learn of it), and `hedge` is two at once
//! where the operator wants that. All are given its `context`. `answer` is what the client gets, `refuse` when there is none.
//!
//! Everything of a request lives in the future below and then in its answer's body. Dropped at any moment (the
//! client left, a deadline passed, the process drains), it gives back its permit and its lease, resets the
//! upstream's stream, and closes its record.

mod adapt;
mod answer;
mod attempt;
mod attempts;
mod catch_panic;
mod client;
mod client_deadline;
mod clients;
mod context;
mod events;
mod health;
mod hedge;
mod models;
mod page;
mod probe;
mod redirect;
mod refuse;
mod streams;

pub use client::Client;
pub use events::may_not_go_on;
pub use models::Offers;
pub use probe::Tried;
pub use streams::Keeper;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderValue, Request, Response};

use crate::admit::{Admission, Directory, Page, Permit, Stock, StreamLimit};
use crate::config::{Config, Target};
use crate::error::{Blame, Error, Kind};
use crate::events::EventRoutes;
use crate::record::{Pseudonyms, Record, Recorder};
use crate::relay::head::UpstreamHead;
use crate::relay::{self, RelayBody, RequestBody, Upload, UploadLimits};
use crate::route::{Groups, Match, Table};
use crate::upstream::{HealthTracker, Marks, PoolHandle};
use attempts::Answered;
use context::{RequestContext, RoutedRequest};
use models::Led;
use refuse::is_understood;

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
    /// Who asks; `None` where everybody may.
    pub clients: Option<Arc<Directory>>,
    /// Hides what names end users; `None` where nothing does.
    pub pseudonyms: Option<Pseudonyms>,
    /// What the worker holds for peers who do not take it.
    pub stock: Rc<Stock>,
    /// What the upstreams of routes with `models` list.
    pub offers: Offers,
    /// What is published, by route.
    pub events: EventRoutes,
    /// Streams that are kept for clients that come back.
    pub keeper: Keeper,
    /// Opens records.
    pub recorder: Recorder,
}

/// What came of a request that was not refused.
enum Reached {
    /// An upstream's answer began.
    Answered(Answered),
    /// The answer is ours, and no upstream was asked.
    Own(Response<RelayBody>),
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
    pub limit: Option<StreamLimit>,
}

impl Proxy {
    /// Answers a request, whatever happens.
    pub async fn serve(
        &self,
        client: &Client,
        request: Request<RequestBody>,
    ) -> Response<RelayBody> {
        let (head, body) = request.into_parts();
        let record = self.open(client, &head);
        let id = record.id().header_value();
        let mut context = RequestContext::new(client, &head, &record, &id);
        let page = match self.page(&context) {
            Ok(page) => page,
            Err(kind) => {
                relay::drive::discard_request_body(self.upload(&context, body));
                return self.refuse(&context, &kind.into());
            }
        };
        if let Some(page) = &page
            && Page::asks_first(&head.method, &head.headers)
        {
            return page::preflight(page, &context);
        }
        let interrupted = Interrupted { record: &record, client };
        let answered = {
            let forwarding = std::pin::pin!(self.forward(&mut context, body));
            catch_panic::catch_panic(forwarding).await
        };
        drop(interrupted);
        let mut answer = match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => self.refuse(&context, &error),
            Err(catch_panic::Panicked) => {
                self.recorder.panicked();
                tracing::error!(id = id.to_str().unwrap_or_default(), "a request panicked");
                self.refuse(&context, &Kind::Internal.into())
            }
        };
        if let Some(page) = &page {
            page.may_see(answer.headers_mut());
        }
        answer
    }

    async fn forward<'a>(
        &'a self,
        context: &mut RequestContext<'a>,
        body: RequestBody,
    ) -> Result<Response<RelayBody>, Error> {
        let upload = RefCell::new(self.upload(context, body));
        if context.head.headers.len() > self.config.limits.headers {
            return Err(Kind::TooManyHeaders.into()); // HTTP/2's: of HTTP/1.1 no such head is whole
        }
        if let Some(clients) = &self.clients {
            match self.identify(clients, context) {
                Ok(caller) => context.caller = Some(caller),
                Err(kind) => {
                    relay::drive::discard_request_body(upload.into_inner());
                    return Err(kind.into());
                }
            }
        }
        if context.scan.marks.any(Marks::OURS) {
            context.until =
                client_deadline::until(&context.head.headers, context.record.opened_at())?;
        }
        let context = &*context;
        let reached = {
            let reaching = std::pin::pin!(self.reach(context, &upload));
            client_deadline::within(context.until, reaching, context.record).await
        };
        let mut upload = upload.into_inner();
        match reached {
            Ok((permit, Reached::Answered(answered))) => {
                upload.settle();
                self.relay(context, answered, upload, permit)
            }
            Ok((_, Reached::Own(answer))) => {
                relay::drive::discard_request_body(upload);
                Ok(answer)
            }
            Err(error) => {
                if is_understood(error.kind(), context.head.version) {
                    relay::drive::discard_request_body(upload);
                }
                Err(error)
            }
        }
    }

    fn upload(&self, context: &RequestContext<'_>, body: RequestBody) -> Upload {
        let RequestContext { scan, record, .. } = *context;
        // A client that waits to be told to send its body sends none after a refusal.
        let sends = !scan.marks.any(Marks::EXPECT);
        let taking = UploadLimits {
            replay: self.config.limits.replay_bytes,
            idle: self.config.client.body_idle,
            rate: self.config.client.body_rate,
        };
        Upload::new(body, sends, taking, &self.stock, record.opened_at(), record)
    }

    /// From a place under the bound to an answer that began.
    async fn reach(
        &self,
        context: &RequestContext<'_>,
        upload: &RefCell<Upload>,
    ) -> Result<(Permit, Reached), Error> {
        let RequestContext { head, scan, record, .. } = *context;
        let permit = self
            .admission
            .request(|| (!self.stock.is_full()).then(|| relay::head::bytes(head, scan.size)))?;
        let route = self.table.lookup(head.uri.path())?;
        Self::may_use(context, route.route)?;
        if scan.marks.any(Marks::HOP_BY_HOP) && relay::head::asks_for_websocket(&head.headers) {
            record.on_route(route.route);
            return Err(Kind::UpgradeUnsupported.into());
        }
        let permit = self.admission.on_route(permit, route.route).inspect_err(|_full| {
            record.on_route(route.route);
        })?;
        let mut permit = match context.caller {
            // A stream that is read again was charged when it began, and may still have its client's last place.
            Some(_) if route.target != Target::Streams => {
                self.charge(context, route.route, permit).await?
            }
            _ => permit,
        };
        match self.send(context, route, upload, &mut permit).await {
            Ok(reached) => Ok((permit, reached)),
            Err(error) => {
                // One of whose body an upstream took some was made, and a client could go on making them.
                if error.kind().outcome() == Blame::Refused && record.passed().0 == 0 {
                    permit.withdraw();
                }
                Err(error)
            }
        }
    }

    /// From a request that its client's limits let in to an answer that began.
    async fn send(
        &self,
        context: &RequestContext<'_>,
        route: Match<'_>,
        upload: &RefCell<Upload>,
        permit: &mut Permit,
    ) -> Result<Reached, Error> {
        let asks_for_model = context.caller.is_some_and(|caller| caller.asks_for_model());
        let group = match self.groups.get(route.target) {
            Some(group) if !asks_for_model => group,
            None if route.target == Target::Streams => {
                let answering = Box::pin(self.serve_stream(context, route, permit.take()));
                return answering.await.map(Reached::Own);
            }
            // Boxed, as what follows: most requests need no room for it.
            _ if route.target == Target::Events => {
                let answer = Box::pin(self.events(context, route, upload, permit)).await?;
                return Ok(Reached::Own(answer));
            }
            _ => match Box::pin(self.lead_by_model(context, route, upload)).await? {
                Led::To(target, model) => {
                    permit.of_model(model);
                    // It is there in every configuration that was checked.
                    self.groups.get(target).ok_or(Kind::Internal)?
                }
                Led::Listed(list) => {
                    // It may not be asked for more often than others, and costs nothing.
                    permit.take().withdraw();
                    return Ok(Reached::Own(self.tell_models(context, list)));
                }
            },
        };
        let routed = RoutedRequest { context, route, group, upload };
        self.failover(&routed).await.map(Reached::Answered)
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
            self.record.failed(&kind.into());
        }
    }
}
