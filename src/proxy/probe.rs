//! One probe: a request of our own, told to nobody but the upstream's health tracker.

use std::future::poll_fn;
use std::time::Instant;

use http::header::{HeaderValue, USER_AGENT};
use http::{Request, StatusCode, Version};

use super::{Proxy, Upstream};
use crate::config::{Probe, UpstreamId};
use crate::error::{Error, Kind};
use crate::upstream::{Broken, HeadScan, RecvBody, Stream};

/// So that the upstream's operator can tell them from requests.
const AGENT: HeaderValue = HeaderValue::from_static("firstbyte-probe");

impl Proxy {
    /// Asks an upstream whether it is well, where it has a probe. Dropped, it resets its stream and says
    /// nothing.
    pub async fn probe(&self, id: UpstreamId) {
        let Some(upstream) = self.upstreams.get(id.0) else { return };
        let Some(probe) = self.config.upstreams.get(id.0).and_then(|of| of.probe.as_ref()) else {
            return;
        };
        let result = tokio::time::timeout(probe.timeout, self.send_probe(upstream, probe)).await;
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

    async fn send_probe(&self, upstream: &Upstream, probe: &Probe) -> Result<StatusCode, Error> {
        let broken = |error| Error::with(Kind::Internal, error);
        let record = self.recorder.probe();
        let lease = upstream.pool.lease(&record).await?;
        // As a client's over HTTP/2, which names no host in a header.
        let asked = Request::get(probe.path.as_str()).version(Version::HTTP_2);
        let asked = asked.header(USER_AGENT, AGENT).body(());
        let (head, ()) = asked.map_err(broken)?.into_parts();
        let scan = HeadScan::of(&head.headers);
        let head = upstream.head.request(head, scan, "", lease.version())?;
        let Stream { mut response, lease, .. } =
            lease.open(head, false, &record).map_err(Broken::into_cut)?;
        let answer = poll_fn(|cx| response.poll_head(cx, lease.head_limit())).await;
        let (head, _, body) = answer.map_err(Broken::into_cut)?;
        RecvBody::new(body, lease).discard();
        Ok(head.status)
    }
}
