//! What a request says of its upstream's health.
//!
//! A 429 says that we ask too much, a refusal and a GOAWAY say "elsewhere": none of them is a failure or a
//! success. Any other answer under 500 is a success, which its body may belie ([`crate::upstream::AnswerGuard`]).

use std::time::Instant;

use http::StatusCode;

use super::Proxy;
use crate::config::UpstreamId;
use crate::error::Kind;
use crate::relay::{Answer, Attempt};
use crate::route::Group;
use crate::upstream::Failure;

/// Slowness is looked for at each so many-th answer: it takes a walk over all peers' windows.
const COMPARED_EACH: u64 = 16;

impl Proxy {
    /// Whether a group may ask this upstream now.
    pub(super) fn allows(&self, id: UpstreamId) -> bool {
        let upstream = &self.upstreams[id.0];
        // What comes back from silence its pool finds out: no request need be the trial.
        upstream.health.allows() && !upstream.pool.is_silent()
    }

    /// A group asks it.
    pub(super) fn asked(&self, id: UpstreamId, at: Instant) {
        self.upstreams[id.0].health.asked(at);
    }

    /// It was asked at `began`, and this came of it.
    pub(super) fn report_health(
        &self,
        id: UpstreamId,
        group: &Group,
        began: Instant,
        result: &Result<Answer, Attempt>,
    ) {
        let now = Instant::now();
        let health = &self.upstreams[id.0].health;
        match result {
            Ok(answer) if answer.head.status == StatusCode::TOO_MANY_REQUESTS => {}
            Ok(answer) if answer.head.status.is_server_error() => health.failed(now),
            Ok(answer) => {
                let answers = health.answered(now, answer.head_at.saturating_duration_since(began));
                if answers.is_multiple_of(COMPARED_EACH) {
                    let peers = group.peers(id);
                    let first_byte = |peer: UpstreamId| self.upstreams[peer.0].health.first_byte();
                    health.compare(&mut peers.filter_map(first_byte).collect::<Vec<_>>(), now);
                }
            }
            Err(failed) if is_its_fault(failed) => health.failed(now),
            Err(_) => {}
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
        | Kind::UpstreamInterim
        | Kind::UpstreamCut => true,
        Kind::UpstreamReset | Kind::UpstreamClosed => failed.failure == Failure::Unknown,
        _ => false,
    }
}
