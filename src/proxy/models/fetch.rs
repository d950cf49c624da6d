//! Fetches an upstream's list of models, over its own pool and with our key, off every request's path.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use http::header::HeaderValue;

use super::offers::parse;
use crate::config::UpstreamId;
use crate::error::{Error, Kind};
use crate::proxy::{Proxy, Upstream};
use crate::upstream::{Chunk, RecvBody};

const AGENT: HeaderValue = HeaderValue::from_static("firstbyte-models");

/// For so long a list may take, which no model makes.
const ANSWER: Duration = Duration::from_secs(10);

/// The longest list that is read: those of hubs with some 500 models have half of it.
const LARGEST: usize = 2 * 1024 * 1024;

impl Proxy {
    /// Asks an upstream for its models; `false` where it did not say, and what it said before stands. Dropped, it
    /// resets its stream.
    pub async fn fetch_models(&self, id: UpstreamId) -> bool {
        let (Some(upstream), Some(meant)) = (self.upstreams.get(id.0), self.config.upstream(id))
        else {
            return false;
        };
        // Without a path of its own the URL leaves the client's as it is, which begins so by the SDKs' custom.
        let path = if meant.base_path.is_empty() { "/v1/models" } else { "/models" };
        let fetched = tokio::time::timeout(ANSWER, self.body_of(upstream, path)).await;
        let fetched = fetched.unwrap_or_else(|_elapsed| Err(Kind::HeadTimeout.into()));
        let list = match &fetched {
            Ok(body) => parse(body),
            Err(error) => {
                let (upstream, error) = (&meant.name, error.kind().code());
                tracing::debug!(upstream, error, "the list of models was not fetched");
                None
            }
        };
        let said = list.is_some();
        self.offers.asked(id, list, Instant::now());
        said
    }

    /// The body of a 200, whole.
    async fn body_of(&self, upstream: &Upstream, path: &str) -> Result<BytesMut, Error> {
        let (head, mut body) = self.request(upstream, path, AGENT).await?;
        if head.status != http::StatusCode::OK {
            body.discard();
            return Err(Kind::UpstreamProtocol.into());
        }
        read(&mut body).await
    }
}

async fn read(body: &mut RecvBody) -> Result<BytesMut, Error> {
    let mut all = BytesMut::new();
    while let Some(chunk) = poll_fn(|cx| body.poll_chunk(cx)).await {
        let chunk = chunk.map_err(|broken| body.cut(broken))?;
        if let Chunk::Data(data) = chunk {
            body.release(data.len());
            if all.len() + data.len() > LARGEST {
                return Err(Kind::UpstreamProtocol.into());
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(all)
}
