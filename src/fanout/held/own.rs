//! Streams of this process that others have too: what those ask of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::streams::{End, KeptStream, LogReader, StreamId};

/// How long a reader of another process is taken to be there after it was last heard of.
const HEARD: Duration = Duration::from_secs(5);

/// By their ids.
#[derive(Default)]
pub(in crate::fanout) struct OwnStreams(HashMap<StreamId, Own>);

struct Own {
    stream: Arc<KeptStream>,
    /// Stands for all readers elsewhere, so that the stream is not given up under them.
    elsewhere: Option<(LogReader, Instant)>,
}

impl OwnStreams {
    pub(in crate::fanout) fn insert(&mut self, stream: &Arc<KeptStream>) {
        let own = Own { stream: Arc::clone(stream), elsewhere: None };
        self.0.insert(stream.id(), own);
    }

    /// What was written of it is all.
    pub(in crate::fanout) fn remove(&mut self, id: StreamId) {
        self.0.remove(&id);
    }

    pub(in crate::fanout) fn len(&self) -> usize {
        self.0.len()
    }

    /// Somebody elsewhere reads it.
    pub(in crate::fanout) fn read(&mut self, id: StreamId, now: Instant) {
        let Some(own) = self.0.get_mut(&id) else { return };
        let until = now + HEARD;
        if let Some((_, known)) = &mut own.elsewhere {
            *known = until;
        } else {
            let end = own.stream.log().extent().end;
            own.elsewhere = Some((LogReader::new(&own.stream, end, false), until));
        }
    }

    /// Readers elsewhere that were not heard of any more are gone.
    pub(in crate::fanout) fn let_go(&mut self, now: Instant) {
        for own in self.0.values_mut() {
            own.elsewhere.take_if(|(_, until)| *until <= now);
        }
    }

    /// Its owner stops it, from another process.
    pub(in crate::fanout) fn stop(&self, id: StreamId) {
        if let Some(own) = self.0.get(&id) {
            own.stream.end(End::Stopped);
        }
    }
}
