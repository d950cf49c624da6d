//! What one request has been through so far.

use std::mem;
use std::time::{Duration, Instant};

use http::{StatusCode, Version};

use super::hedge::Hedged;
use crate::record::collect::labels::LabelId;
use crate::record::collect::recordings::Recordings;
use crate::record::outcome::{FailoverReason, Outcome, Prevented};

/// Where the answer's head stands on its way to the client's socket.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::record) enum Head {
    #[default]
    Awaited,
    /// Read from the upstream at this instant and handed over; not yet written.
    Handed(Instant),
    Written,
}

/// What a request has been through; everything but the labels of its counters is optional, since
/// it may end anywhere.
#[derive(Default)]
pub(in crate::record) struct RequestState {
    pub(in crate::record) route: Option<LabelId>,
    pub(in crate::record) upstream: Option<LabelId>,
    pub(in crate::record) upstream_version: Option<Version>,
    pub(in crate::record) upstream_status: Option<StatusCode>,
    pub(in crate::record) upstream_request_id: Option<String>,
    pub(in crate::record) status: Option<StatusCode>,
    pub(in crate::record) fault: Option<&'static str>,
    pub(in crate::record) outcome: Option<Outcome>,
    pub(in crate::record) cold: bool,
    pub(in crate::record) pool_wait: Option<Duration>,
    pub(in crate::record) upstream_ttfb: Option<Duration>,
    pub(in crate::record) client_ttfb: Option<Duration>,
    pub(in crate::record) overhead_request: Option<Duration>,
    pub(in crate::record) overhead_head: Option<Duration>,
    pub(in crate::record) overhead_chunk_max: Option<Duration>,
    pub(in crate::record) gap_upstream_max: Option<Duration>,
    pub(in crate::record) gap_client_max: Option<Duration>,
    pub(in crate::record) cancel_max: Option<Duration>,
    pub(in crate::record) frames: u64,
    pub(in crate::record) bytes_up: u64,
    pub(in crate::record) bytes_down: u64,
    pub(in crate::record) replays: u32,
    /// Who was asked before and left, and why. Empty, and without memory, for nearly every request.
    pub(in crate::record) left: Vec<(LabelId, FailoverReason)>,
    pub(in crate::record) retries: u32,
    pub(in crate::record) retry_wait: Option<Duration>,
    pub(in crate::record) prevented: Option<Prevented>,
    /// Boxed: few requests have one.
    pub(in crate::record) hedge: Option<Box<Hedged>>,
    pub(in crate::record) head_sent: Option<Instant>,
    pub(in crate::record) last_frame: Option<Instant>,
    pub(in crate::record) last_body_write: Option<Instant>,
    pub(in crate::record) head: Head,
    /// When the oldest body frame that was handed over and not yet written was read.
    pub(in crate::record) unwritten: Option<Instant>,
    pub(in crate::record) unsettled: Unsettled,
}

/// Durations known before a write that are recorded after it: recording costs tens of nanoseconds,
/// and some microseconds when a histogram grows, and must not stand between a read and its write.
#[derive(Default)]
pub(in crate::record) struct Unsettled {
    pub(in crate::record) pool_wait: Option<Duration>,
    pub(in crate::record) ttfb: Option<Duration>,
    pub(in crate::record) first_body: Option<Duration>,
    pub(in crate::record) gap: Option<Duration>,
}

impl RequestState {
    /// Records what was put off. Called after each write, and at the end for what had none.
    pub(in crate::record) fn settle(&mut self, active: &mut Recordings) {
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
