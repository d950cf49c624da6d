//! What a request says of its upstream's health.
//!
//! A 429 says that we ask too much, a refusal and a GOAWAY say "elsewhere": none of them is a failure or a
//! success. Any other answer under 500 is a success.

use std::time::Instant;

use http::StatusCode;

use super::Proxy;
use crate::config::UpstreamId;
use crate::error::Kind;
use crate::relay::replay::Failure;
use crate::relay::{Answer, Attempt};
use crate::route::Group;
use crate::upstream::Change;

/// Slowness is looked for at each so many-th answer: it takes a walk over all peers' windows.
const COMPARED_EACH: u64 = 16;

impl Proxy {
    /// Whether a group may ask this upstream now.
    pub(super) fn allows(&self, id: UpstreamId) -> bool {
        let upstream = &self.upstreams[id.0];
        let health = upstream.health.borrow();
        let well = !health.is_ejected() || health.allows(Instant::now());
        // What comes back from silence its pool finds out: no request need be the trial.
        well && !upstream.pool.is_silent()
    }

    /// A group asks it.
    pub(super) fn asked(&self, id: UpstreamId, at: Instant) {
        self.upstreams[id.0].health.borrow_mut().asked(at);
    }

    /// It was asked at `began`, and this came of it.
    pub(super) fn judge(
        &self,
        id: UpstreamId,
        group: &Group,
        began: Instant,
        came: &Result<Answer, Attempt>,
    ) {
        let now = Instant::now();
        let mut health = self.upstreams[id.0].health.borrow_mut();
        let mut change = match came {
            Ok(answer) if answer.head.status == StatusCode::TOO_MANY_REQUESTS => None,
            Ok(answer) if answer.head.status.is_server_error() => health.failed(now),
            Ok(answer) => health.answered(now, answer.head_at.saturating_duration_since(began)),
            Err(failed) if is_its_fault(failed) => health.failed(now),
            Err(_) => None,
        };
        if change.is_none() && came.is_ok() && health.answers().is_multiple_of(COMPARED_EACH) {
            let peers = group.peers(id).map(|peer| self.upstreams[peer.0].health.borrow());
            let mut peers: Vec<_> = peers
                .filter(|peer| !peer.is_ejected())
                .filter_map(|peer| peer.first_byte())
                .collect();
            change = health.compare(&mut peers, now);
        }
        if let Some(change) = change {
            self.tell(id, change);
        }
    }

    fn tell(&self, id: UpstreamId, change: Change) {
        let upstream = &self.upstreams[id.0].pool.settings().name;
        let meters = self.recorder.upstream(id.0);
        match change {
            Change::Ejected(cause, time) => {
                meters.ejected_for(cause);
                let (cause, seconds) = (cause.label(), time.as_secs_f64());
                tracing::warn!(upstream, cause, seconds, "ejected");
            }
            Change::Returned => {
                meters.ejected.set(0);
                tracing::info!(upstream, "in again");
            }
        }
    }
}

fn is_its_fault(failed: &Attempt) -> bool {
    match failed.error.kind() {
        Kind::ConnectTimeout
        | Kind::ConnectRefused
        | Kind::Dns
        | Kind::Tls
        | Kind::UpstreamHandshake
        | Kind::HeadTimeout
        | Kind::FirstFrameTimeout
        | Kind::UpstreamProtocol
        | Kind::UpstreamCut => true,
        Kind::UpstreamReset | Kind::UpstreamClosed => failed.failure == Failure::Unknown,
        _ => false,
    }
}
