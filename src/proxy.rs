//! The path of one request:
//!
//! accept → **admit → route → upstream (lease) → relay → record**
//!
//! Everything of a request lives in the future below and then in its answer's body. Dropped at any
//! moment (the client left, a deadline passed, the process drains), it gives back its permit and
//! its lease, resets the upstream's stream, and closes its record.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT};
use http::{HeaderValue, Method, Request, Response, Version, request};

use crate::accept::Client;
use crate::admit::{Bound, Permit};
use crate::config::{Config, UpstreamId};
use crate::error::{Error, Kind};
use crate::record::{Opened, Record, Recorder};
use crate::relay::head::UpstreamHead;
use crate::relay::replay::{Replay, Seen, decide};
use crate::relay::{self, Answer, Bounds, Flow, RelayBody, RequestBody, Upload, exchange};
use crate::route::{Match, Table};
use crate::upstream::Pool;

/// One worker's proxy.
pub struct Proxy {
    /// What the operator asked for.
    pub config: Arc<Config>,
    /// Which upstream answers a path.
    pub table: Table,
    /// By [`crate::config::UpstreamId`].
    pub upstreams: Vec<Upstream>,
    /// Requests in flight, over all workers.
    pub streams: Bound,
    /// Opens records.
    pub recorder: Recorder,
}

/// An upstream as a worker needs it.
pub struct Upstream {
    /// Warm connections.
    pub pool: Rc<Pool>,
    /// What configuration says of every request's head.
    pub head: UpstreamHead,
}

impl Proxy {
    /// Answers a request, whatever happens.
    pub async fn serve(
        &self,
        client: &Client,
        request: Request<RequestBody>,
    ) -> Response<RelayBody> {
        let record = self.recorder.open(Opened {
            at: client.wire.read_at(),
            client: client.address,
            version: request.version(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
        });
        let id = record.id().header_value();
        let version = request.version();
        let bodyless = request.method() == Method::HEAD;
        match self.forward(client, request, &record, &id).await {
            Ok(answer) => answer,
            Err(error) => {
                let mut answer = refuse(&error, version, &record, &id);
                if bodyless {
                    // Over HTTP/2 hyper would send it, and the client reset the stream for that.
                    *answer.body_mut() = RelayBody::own(Bytes::new());
                }
                answer
            }
        }
    }

    /// Answers what could not be read as a request, or not to its end. It is recorded as one whose
    /// method and path are not known.
    pub fn turn_away(&self, client: &Client, version: Version, kind: Kind) -> Response<RelayBody> {
        let unknown = Method::from_bytes(b"-").unwrap_or_default();
        let record = self.recorder.open(Opened {
            at: client.wire.read_at(),
            client: client.address,
            version,
            method: unknown,
            path: "-".to_owned(),
        });
        let id = record.id().header_value();
        refuse(&kind.into(), version, &record, &id)
    }

    async fn forward(
        &self,
        client: &Client,
        request: Request<RequestBody>,
        record: &Rc<Record>,
        id: &HeaderValue,
    ) -> Result<Response<RelayBody>, Error> {
        let (head, body) = request.into_parts();
        // A client that waits to be told to send its body sends none after a refusal.
        let sends = head.version < Version::HTTP_2 && !head.headers.contains_key(EXPECT);
        let limits = &self.config.limits;
        let idle = self.config.client.body_idle;
        let mut upload =
            Upload::new(body, sends, limits.replay_bytes, idle, Instant::now(), record);
        match self.reach(head, &mut upload, record).await {
            Ok((permit, upstream, answer)) => {
                self.relay(client, upstream, answer, upload, record, id, permit)
            }
            Err(error) => {
                if is_understood(error.kind()) {
                    relay::attend::let_by(upload);
                }
                Err(error)
            }
        }
    }

    /// From a place under the bound to an answer that began.
    async fn reach(
        &self,
        head: request::Parts,
        upload: &mut Upload,
        record: &Rc<Record>,
    ) -> Result<(Permit, UpstreamId, Answer), Error> {
        let permit = self.streams.enter()?;
        let path = head.uri.path().to_owned();
        let route = self.table.lookup(&path).ok_or(Kind::NoRoute)?;
        record.routed(route.route.0, route.upstream.0);
        let answer = self.attempt(head, route, upload, record).await?;
        Ok((permit, route.upstream, answer))
    }

    /// Sends the request until an answer begins or a failure must be told: again only if it provably
    /// was not processed.
    async fn attempt(
        &self,
        head: request::Parts,
        route: Match<'_>,
        upload: &mut Upload,
        record: &Rc<Record>,
    ) -> Result<Answer, Error> {
        let upstream = &self.upstreams[route.upstream.0];
        let limits = relay::Limits { head: upstream.pool.settings().deadlines.response_head };
        let mut replays = 0;
        loop {
            let lease = upstream.pool.lease(record).await?;
            let request = upstream.head.request(head.clone(), route.prefix, lease.version())?;
            // Not before: a client that waits to be told to send its body is told by this.
            upload.gather().await?;
            let attempt = match exchange(lease, request, upload, limits, record).await {
                Ok(answer) => return Ok(answer),
                Err(attempt) => attempt,
            };
            match decide(attempt.failure, Seen::Nothing, upload.kept(), replays) {
                Replay::Yes(reason) if upload.rewind() => record.replayed(reason),
                _ => return Err(attempt.error),
            }
            replays += 1;
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the one place where the path's ends meet")]
    fn relay(
        &self,
        client: &Client,
        upstream: UpstreamId,
        answer: Answer,
        upload: Upload,
        record: &Rc<Record>,
        id: &HeaderValue,
        permit: Permit,
    ) -> Result<Response<RelayBody>, Error> {
        let Answer { mut head, source, sink } = answer;
        relay::head::answer(&mut head, id, self.config.via)?;
        let settings = self.upstreams[upstream.0].pool.settings();
        let request_id = head.headers.get("x-request-id").and_then(|id| id.to_str().ok());
        record.upstream_head(source.read_at(), head.status, request_id);
        record.status(head.status);
        let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = length.and_then(|length| length.parse().ok());
        let bounds = Bounds {
            gap: settings.deadlines.frame_gap,
            stall: record.shares_connection().then_some(self.config.client.write_stall),
            held: settings.pool.stream_window as usize,
            length,
        };
        let rest = if sink.is_closed() {
            relay::attend::let_by(upload);
            None
        } else {
            Some((upload, sink))
        };
        let flow = Flow::new(source, rest, bounds, &client.wire, record, permit);
        Ok(Response::from_parts(head, RelayBody::relayed(flow, length)))
    }
}

/// Whether the rest of a refused request is worth reading: it is a body, and somebody sends it.
fn is_understood(kind: Kind) -> bool {
    !matches!(kind, Kind::BadRequest(_) | Kind::BodyIdle | Kind::ClientGone)
}

/// The answer to a request that could not be forwarded, or whose upstream failed before its head.
fn refuse(
    error: &Error,
    version: Version,
    record: &Rc<Record>,
    id: &HeaderValue,
) -> Response<RelayBody> {
    let kind = error.kind();
    let (status, headers, body) = error.response_parts(id);
    record.status(status);
    record.fault(kind.code());
    record.end(relay::outcome(kind.outcome()));
    let mut answer = Response::new(RelayBody::own(body));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    if matches!(kind, Kind::BadRequest(_)) && version < Version::HTTP_2 {
        // What follows on this connection may be part of what was not understood.
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}
