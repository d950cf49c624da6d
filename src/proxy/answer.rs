//! What the client gets of an upstream's answer: its head, cleaned, and a body that holds all that the request still needs;
//! and bodies of our own that go on for long.

use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, Response};

use super::Proxy;
use super::attempts::Answered;
use super::clients::metered;
use super::context::RequestContext;
use crate::admit::Permit;
use crate::config::RouteId;
use crate::error::Error;
use crate::record::Pseudonyms;
use crate::relay::observers::Form;
use crate::relay::{
    self, Answer, Bounds, Deadline, Download, DownloadParts, OwnSource, RelayBody, RequestRest,
    Source, Upload,
};
use crate::upstream::Marks;

/// In answers that go on as events come: nginx and others hold them back otherwise.
pub(super) const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Our own bytes come when they come: no clock runs on them.
pub(super) const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Of our own bytes so many are held for a client that does not take them; whoever has them holds them as well.
pub(super) const BUFFERED: usize = 16 * 1024;

impl Proxy {
    /// A body of our own, of which there is more over time. `length`: of all of it, where that is known.
    /// `is_event_stream`: of a model's events, whose last one ends it.
    pub(super) fn own_body(
        &self,
        context: &RequestContext<'_>,
        permit: Permit,
        source: Box<dyn OwnSource>,
        length: Option<u64>,
        is_event_stream: bool,
    ) -> RelayBody {
        let RequestContext { client, record, until, .. } = *context;
        let bounds = Bounds {
            first_frame: NEVER,
            gap: NEVER,
            until,
            stall: record.shares_connection().then_some(self.config.client.write_stall),
            buffered: BUFFERED,
            length,
        };
        let download = Download::new(DownloadParts {
            source: Source::Ours(source),
            rest: None,
            bounds,
            deadline: Deadline::default(),
            answer_guard: None,
            wire: &client.wire,
            record,
            permit,
            stock: &self.stock,
            is_event_stream,
            reads_usage: None,
            heartbeat: None,
        });
        RelayBody::relayed(download, length)
    }

    /// The answer for the client; its body holds all that the request still needs.
    pub(super) fn relay(
        &self,
        context: &RequestContext<'_>,
        answered: Answered,
        upload: Upload,
        mut permit: Permit,
    ) -> Result<Response<RelayBody>, Error> {
        let RequestContext { client, record, until, scan: scan_of_request, .. } = *context;
        let upstream = &self.upstreams[answered.upstream.0];
        let Answer { mut head, scan, head_at, source, sink, deadline, first_byte } =
            answered.answer;
        permit.awaits(first_byte);
        relay::head::answer(&mut head, scan.marks, context.id, self.config.via)
            .inspect_err(|error| record.upstream_failed(error))?;
        if scan.marks.any(Marks::LOCATION) {
            self.redirect(context, answered.upstream, &mut head.headers);
        }
        if answered.by_group {
            head.headers.insert(relay::head::UPSTREAM, upstream.name.clone());
        }
        record.upstream_head(head_at, head.status, || {
            let hides = |pseudonyms: &Pseudonyms| pseudonyms.hides("x-request-id");
            let is_hidden = self.pseudonyms.as_ref().is_some_and(hides);
            // Some upstreams echo the client's.
            head.headers.get("x-request-id").filter(|_| !is_hidden)?.to_str().ok()
        });
        record.status(head.status);
        let metered = metered(&permit, context, &mut head);
        let length =
            scan.marks.any(Marks::LENGTH).then(|| head.headers.get(CONTENT_LENGTH)).flatten();
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let bounds = Bounds {
            first_frame: answered.clocks.first_frame,
            gap: answered.clocks.gap,
            until,
            stall: record.shares_connection().then_some(self.config.client.write_stall),
            buffered: upstream.pool.settings().pool.stream_window as usize,
            length,
        };
        let rest = if sink.is_closed() {
            relay::drive::discard_request_body(upload);
            None
        } else {
            Some(Box::new(RequestRest { upload, sink }))
        };
        let judged = answered.by_group && head.status.is_success();
        let answer_guard = judged.then(|| upstream.health.answer_guard(head_at));
        let (wire, stock) = (&client.wire, &self.stock);
        let mut parts = DownloadParts {
            source: source.into(),
            rest,
            bounds,
            deadline,
            answer_guard,
            wire,
            record,
            permit,
            stock,
            is_event_stream: relay::head::is_event_stream(&head.headers),
            reads_usage: metered.then(|| Form::of(&head.headers)),
            heartbeat: self.heartbeat(answered.route, length, &head.headers),
        };
        if scan_of_request.marks.any(Marks::OURS.and(Marks::CONVERSATION)) {
            parts = self.keep(context, &mut head, parts);
        }
        let download = Download::new(parts);
        Ok(Response::from_parts(head, RelayBody::relayed(download, length)))
    }

    /// After how long a silence the client of such an answer gets a comment; where it may get one.
    fn heartbeat(
        &self,
        route: RouteId,
        length: Option<u64>,
        headers: &HeaderMap,
    ) -> Option<Duration> {
        let heartbeat = self.config.routes.get(route.0)?.heartbeat?;
        (length.is_none() && Form::of(headers) == Form::Events).then_some(heartbeat)
    }
}
