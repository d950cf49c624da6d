//! Requests of our own: a probe, told to nobody but the upstream's health tracker, and the one that
//! `firstbyte check --connect` sends.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use http::header::{HeaderValue, USER_AGENT};
use http::{Request, StatusCode, Version, response};

use super::{Proxy, Upstream};
use crate::config::UpstreamId;
use crate::error::{Error, Kind};
use crate::upstream::{Broken, HeadScan, RecvBody, Stream, Trial};

/// So that the upstream's operator can tell them from requests.
const AGENT: HeaderValue = HeaderValue::from_static("firstbyte-probe");
/// The same of those that an operator asked for.
const CHECK_AGENT: HeaderValue = HeaderValue::from_static("firstbyte-check");

/// For so long an operator waits for a list of models, which no model makes.
const ANSWER: Duration = Duration::from_secs(10);

/// What came of trying an upstream out.
#[derive(Debug)]
pub struct Tried {
    /// What was asked for, as the upstream saw it.
    pub path: String,
    /// The connection, or why there is none.
    pub reached: Result<Trial, Error>,
    /// The answer's status and how long its head took; `None` where there is no connection.
    pub answered: Option<Result<(StatusCode, Duration), Error>>,
}

impl Proxy {
    /// Asks an upstream whether it is well, where it has a probe. Dropped, it resets its stream and says
    /// nothing.
    pub async fn probe(&self, id: UpstreamId) {
        let Some(upstream) = self.upstreams.get(id.0) else { return };
        let Some(probe) = self.config.upstreams.get(id.0).and_then(|of| of.probe.as_ref()) else {
            return;
        };
        let sent = self.get(upstream, &probe.path, AGENT);
        let result = tokio::time::timeout(probe.timeout, sent).await;
        let result = result.unwrap_or_else(|_elapsed| Err(Kind::HeadTimeout.into()));
        let well = result.as_ref().is_ok_and(|status| probe.is_well(status.as_u16()));
        if !well {
            let upstream = &self.config.upstreams[id.0].name;
            let error = result.as_ref().err().map(|error| error.kind().code());
            let status = result.as_ref().ok().map(StatusCode::as_u16);
            tracing::debug!(upstream, error, status, "health probe failed");
        }
        upstream.health.probed(Instant::now(), well, probe.failures);
    }

    /// Connects to an upstream and asks it for its models, as a client's request would be sent there. `None`
    /// where the configuration has no such upstream.
    pub async fn try_out(&self, id: UpstreamId) -> Option<Tried> {
        let (upstream, meant) = (self.upstreams.get(id.0)?, self.config.upstream(id)?);
        let reached = upstream.pool.trial().await;
        // Without a path of its own the URL leaves the client's as it is, which begins so by the SDKs' custom.
        let path = if meant.base_path.is_empty() { "/v1/models" } else { "/models" };
        let began = Instant::now();
        let answered = match &reached {
            Ok(_) => {
                let sent = self.get(upstream, path, CHECK_AGENT);
                let result = tokio::time::timeout(ANSWER, sent).await;
                let result = result.unwrap_or_else(|_elapsed| Err(Kind::HeadTimeout.into()));
                Some(result.map(|status| (status, began.elapsed())))
            }
            Err(_) => None,
        };
        Some(Tried { path: format!("{}{path}", meant.base_path), reached, answered })
    }

    /// One request of our own; its answer's body is not wanted.
    async fn get(
        &self,
        upstream: &Upstream,
        path: &str,
        agent: HeaderValue,
    ) -> Result<StatusCode, Error> {
        let (head, body) = self.request(upstream, path, agent).await?;
        body.discard();
        Ok(head.status)
    }

    /// One request of our own, and its answer. Dropped, it resets its stream.
    pub(super) async fn request(
        &self,
        upstream: &Upstream,
        path: &str,
        agent: HeaderValue,
    ) -> Result<(response::Parts, RecvBody), Error> {
        let broken = |error| Error::with(Kind::Internal, error);
        let record = self.recorder.probe();
        let lease = upstream.pool.lease(&record).await?;
        // As a client's over HTTP/2, which names no host in a header.
        let asked = Request::get(path).version(Version::HTTP_2);
        let asked = asked.header(USER_AGENT, agent).body(());
        let (head, ()) = asked.map_err(broken)?.into_parts();
        let scan = HeadScan::of(&head.headers);
        let head = upstream.head.request(head, scan, "", lease.version())?;
        let Stream { mut response, lease, .. } =
            lease.open(head, false, &record).map_err(Broken::into_cut)?;
        let answer = poll_fn(|cx| response.poll_head(cx, lease.head_limit(), &mut drop)).await;
        let (head, _, body) = answer.map_err(Broken::into_cut)?;
        Ok((head, RecvBody::new(body, lease)))
    }
}
