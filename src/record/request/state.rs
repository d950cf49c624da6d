//! What one request has been through so far.

use std::mem;
use std::time::{Duration, Instant};

use crate::record::collect::finished::Facts;
use crate::record::collect::recordings::Recordings;
use crate::record::outcome::Outcome;

/// Where the answer's head stands on its way to the client's socket.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Head {
    #[default]
    Awaited,
    /// Read from the upstream at this instant and handed over; not yet written.
    Handed(Instant),
    Written,
}

/// A request that runs: what exporters will see of it, and what that is measured by.
#[derive(Default)]
pub(super) struct RequestState {
    pub(super) facts: Facts,
    pub(super) outcome: Option<Outcome>,
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
        let Some(id) = self.facts.upstream else { return };
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
