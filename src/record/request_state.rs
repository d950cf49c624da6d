//! What one request has been through so far.

use std::mem;
use std::time::{Duration, Instant};

use http::{StatusCode, Version};

use super::collect::labels::LabelId;
use super::collect::recordings::Recordings;
use super::hedge::Hedged;
use super::outcome::{FailoverReason, Outcome, Prevented};

/// Where the answer's head stands on its way to the client's socket.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Head {
    #[default]
    Awaited,
    /// Read from the upstream at this instant and handed over; not yet written.
    Handed(Instant),
    Written,
}

/// What a request has been through; everything but the labels of its counters is optional, since
/// it may end anywhere.
#[derive(Default)]
pub(super) struct RequestState {
    pub(super) route: Option<LabelId>,
    pub(super) upstream: Option<LabelId>,
    pub(super) upstream_version: Option<Version>,
    pub(super) upstream_status: Option<StatusCode>,
    pub(super) upstream_request_id: Option<String>,
    pub(super) status: Option<StatusCode>,
    pub(super) fault: Option<&'static str>,
    pub(super) outcome: Option<Outcome>,
    pub(super) cold: bool,
    pub(super) pool_wait: Option<Duration>,
    pub(super) upstream_ttfb: Option<Duration>,
    pub(super) client_ttfb: Option<Duration>,
    pub(super) overhead_request: Option<Duration>,
    pub(super) overhead_head: Option<Duration>,
    pub(super) overhead_chunk_max: Option<Duration>,
    pub(super) gap_upstream_max: Option<Duration>,
    pub(super) gap_client_max: Option<Duration>,
    pub(super) cancel_max: Option<Duration>,
    pub(super) frames: u64,
    pub(super) bytes_up: u64,
    pub(super) bytes_down: u64,
    pub(super) replays: u32,
    /// Who was asked before and left, and why. Empty, and without memory, for nearly every request.
    pub(super) left: Vec<(LabelId, FailoverReason)>,
    pub(super) retries: u32,
    pub(super) retry_wait: Option<Duration>,
    pub(super) prevented: Option<Prevented>,
    /// Boxed: few requests have one.
    pub(super) hedge: Option<Box<Hedged>>,
    pub(super) head_sent: Option<Instant>,
    pub(super) last_frame: Option<Instant>,
    pub(super) last_body_write: Option<Instant>,
    pub(super) head: Head,
    /// When the oldest body frame that was handed over and not yet written was read.
    pub(super) unwritten: Option<Instant>,
    pub(super) unsettled: Unsettled,
}

/// Durations known before a write that are recorded after it: recording costs tens of nanoseconds,
/// and some microseconds when a histogram grows, and must not stand between a read and its write.
#[derive(Default)]
pub(super) struct Unsettled {
    pub(super) pool_wait: Option<Duration>,
    pub(super) ttfb: Option<Duration>,
    pub(super) first_body: Option<Duration>,
    pub(super) gap: Option<Duration>,
}

impl RequestState {
    /// Records what was put off. Called after each write, and at the end for what had none.
    pub(super) fn settle(&mut self, active: &mut Recordings) {
        let Unsettled { pool_wait, ttfb, first_body, gap } = mem::take(&mut self.unsettled);
        if let Some(took) = gap {
            active.gap_upstream.record(took);
        }
        if pool_wait.is_none() && ttfb.is_none() && first_body.is_none() {
            return;
        }
        let Some(id) = self.upstream else { return };
        active.upstream(id, |upstream| {
            let all = [
                (pool_wait, &mut upstream.pool_wait),
                (ttfb, &mut upstream.ttfb),
                (first_body, &mut upstream.first_body),
            ];
            for (took, distribution) in all {
                if let Some(took) = took {
                    distribution.record(took);
                }
            }
        });
    }
}
