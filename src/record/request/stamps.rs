//! The stamps on a request's way: what is called for each head, chunk and write. Each costs some nanoseconds,
//! touches nothing but its own worker's memory, and puts off until after a write what need not be counted
//! before it.

use std::time::{Duration, Instant};

use http::{StatusCode, Version};

use super::state::Head;
use super::{Part, Record};
use crate::record::collect::finished::cut;
use crate::record::outcome::Cold;

/// Longer request ids of an upstream are cut to this many bytes.
const UPSTREAM_ID_BYTES: usize = 128;

/// How a request came by its upstream stream.
#[derive(Debug, Clone, Copy)]
pub struct Leased {
    /// From asking the pool to having a stream.
    pub waited: Duration,
    /// Why a connect had to finish first, where one had to.
    pub cold: Option<Cold>,
    /// What is spoken with the upstream.
    pub version: Version,
}

impl Record {
    /// A stream was had. After a replay this is called again: waits add up in the access log.
    pub fn leased(&self, lease: Leased) {
        let mut state = self.state.borrow_mut();
        state.facts.pool_wait = Some(state.facts.pool_wait.unwrap_or_default() + lease.waited);
        state.facts.cold |= lease.cold.is_some();
        state.facts.upstream_version = Some(lease.version);
        let unsettled = state.unsettled.pool_wait.replace(lease.waited);
        if lease.cold.is_some() || unsettled.is_some() {
            self.of_upstream(&state, |upstream| {
                if let Some(cold) = lease.cold {
                    upstream.cold[cold as usize] += 1;
                }
                // A lease that no head was sent on.
                if let Some(waited) = unsettled {
                    upstream.pool_wait.record(waited);
                }
            });
        }
    }

    /// The request's head was written to the upstream's socket. The first one ends the overhead's
    /// `request` phase; the upstream's time to first byte runs from the last one.
    pub fn head_sent(&self, at: Instant) {
        let mut state = self.state.borrow_mut();
        let mut active = self.ledger.active.borrow_mut();
        state.settle(&mut active);
        // When a hedge is sent is no matter of what we add.
        if state.head_sent.replace(at).is_none() && matches!(self.part, Part::Whole(_)) {
            let took = at.saturating_duration_since(self.opened.at);
            state.facts.overhead_request = Some(took);
            active.overhead_request.record(took);
        }
    }

    /// The final answer's head was read; only the first call counts, so keep 1xx answers out. Its id is looked up
    /// only for the log.
    pub fn upstream_head<'a>(
        &self,
        at: Instant,
        status: StatusCode,
        upstream_id: impl FnOnce() -> Option<&'a str>,
    ) {
        let mut state = self.state.borrow_mut();
        if state.facts.upstream_status.is_some() {
            return;
        }
        state.facts.upstream_status = Some(status);
        if self.ledger.is_logging() {
            state.facts.upstream_request_id =
                upstream_id().map(|id| cut(id, UPSTREAM_ID_BYTES).to_owned());
        }
        if let Some(sent) = state.head_sent {
            let took = at.saturating_duration_since(sent);
            state.facts.upstream_ttfb = Some(took);
            state.unsettled.ttfb = Some(took);
        }
    }

    /// A chunk of the answer's body was read from the upstream.
    pub fn upstream_frame(&self, at: Instant, bytes: usize) {
        let mut state = self.state.borrow_mut();
        state.facts.frames += 1;
        state.facts.bytes_down += bytes as u64;
        if let Some(before) = state.last_frame.replace(at) {
            let gap = at.saturating_duration_since(before);
            state.facts.gap_upstream_max = state.facts.gap_upstream_max.max(Some(gap));
            if let Some(unsettled) = state.unsettled.gap.replace(gap) {
                // Several frames were read for one write.
                self.ledger.active.borrow_mut().gap_upstream.record(unsettled);
            }
        } else if let Some(sent) = state.head_sent {
            let took = at.saturating_duration_since(sent);
            state.facts.upstream_first_body = Some(took);
            state.unsettled.first_body = Some(took);
        }
    }

    /// What was read at `read_at` was handed to the client's side: the first call is the answer's
    /// head, each later one a chunk. Of several not yet written the oldest counts.
    pub fn handed(&self, read_at: Instant) {
        let mut state = self.state.borrow_mut();
        if matches!(state.head, Head::Awaited) {
            state.head = Head::Handed(read_at);
        } else {
            state.unwritten.get_or_insert(read_at);
        }
    }

    /// The client's socket took all that was handed over.
    pub fn written(&self, at: Instant) {
        let mut state = self.state.borrow_mut();
        if state.facts.client_ttfb.is_none() {
            let took = at.saturating_duration_since(self.opened.at);
            state.facts.client_ttfb = Some(took);
            // Our own refusals are quick and would flatter the figure.
            if state.facts.upstream_status.is_some() {
                self.of_upstream(&state, |upstream| upstream.client_ttfb.record(took));
            }
        }
        let mut active = self.ledger.active.borrow_mut();
        state.settle(&mut active);
        if let Head::Handed(read_at) = state.head {
            let took = at.saturating_duration_since(read_at);
            state.head = Head::Written;
            state.facts.overhead_head = Some(took);
            active.overhead_head.record(took);
        }
        if let Some(read_at) = state.unwritten.take() {
            let took = at.saturating_duration_since(read_at);
            state.facts.overhead_chunk_max = state.facts.overhead_chunk_max.max(Some(took));
            active.overhead_chunk.record(took);
            if let Some(before) = state.last_body_write.replace(at) {
                let gap = at.saturating_duration_since(before);
                state.facts.gap_client_max = state.facts.gap_client_max.max(Some(gap));
                active.gap_client.record(gap);
            }
        }
    }

    /// Nobody wants the answer any more, and the upstream was told `took` later.
    pub fn cancelled(&self, took: Duration) {
        if matches!(self.part, Part::Probe) {
            return;
        }
        let mut state = self.whole().state.borrow_mut();
        state.facts.cancel_max = state.facts.cancel_max.max(Some(took));
        self.ledger.active.borrow_mut().cancel.record(took);
    }
}
