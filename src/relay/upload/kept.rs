//! What is kept of a request's body: it can be sent again, or to a second upstream.

use std::mem::size_of;
use std::task::Context;

use bytes::Bytes;

use super::{JOIN, PARTS, Upload};
use crate::relay::replay::BodyKept;

/// Bytes after which a client that is read ahead may have sent more: half of what a turn takes of a socket.
const MANY: usize = 32 * 1024;

impl Upload {
    /// Whether a replay could send everything again.
    pub fn kept(&self) -> BodyKept {
        self.kept.kept()
    }

    /// Begins again from the first byte; `false` where that is gone.
    pub fn rewind(&mut self) -> bool {
        let Some(again) = self.kept.replay() else { return false };
        self.again = again;
        // It is among what was kept.
        self.chunk = Bytes::new();
        true
    }

    /// Reads what is here of the body although the upstream may not take it yet, as much of it as may be
    /// kept. Waits for nothing; reads nothing while memory is short. True if it was so much that more may be
    /// here, for the task's next turn.
    pub fn read_ahead(&mut self, cx: &mut Context<'_>) -> bool {
        let mut ahead = Vec::new();
        let was_kept = self.kept.kept() != BodyKept::Spoiled;
        while !self.reader.is_ended()
            && self.kept.kept() != BodyKept::Spoiled
            && self.charge.has_room_for(JOIN)
        {
            let Some(data) = self.reader.next_ready(cx, &mut self.kept) else { break };
            if !data.is_empty() {
                self.kept.push(&data);
                self.charge_with(0);
                ahead.push(data);
            }
        }
        let more = ahead.len() >= PARTS || ahead.iter().map(Bytes::len).sum::<usize>() >= MANY;
        if !ahead.is_empty() {
            let before = std::mem::take(&mut self.again);
            self.again = before.chain(ahead).collect::<Vec<_>>().into_iter();
        }
        if was_kept && self.kept.kept() == BodyKept::Spoiled {
            self.hold_again();
            self.charge_with(self.chunk.len());
        }
        more
    }

    /// The same body from its first byte, for somebody who is asked beside the first. References, not
    /// copies. `None` unless all of it was read from the client and is kept.
    pub fn twin(&self) -> Option<Self> {
        let again = self.kept.replay()?;
        self.reader.is_ended().then(|| Self {
            charge: self.charge.beside(),
            reader: self.reader.at_end(),
            kept: self.kept.clone(),
            again,
            chunk: Bytes::new(),
            progress: self.progress,
        })
    }

    /// The answer goes to the client: no replay can follow, and what was kept is let go.
    pub fn settle(&mut self) {
        self.kept.spoil();
        self.hold_again();
        self.charge_with(self.chunk.len());
    }

    /// What is still to be sent of what was kept is held, though it is not kept any more.
    fn hold_again(&mut self) {
        let parts = self.again.as_slice().iter();
        self.kept.hold(parts.map(|part| part.len() + size_of::<Bytes>()).sum());
    }
}
