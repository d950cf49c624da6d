//! An answer that begins and is kept: whether it is, and how its client becomes the first of its readers.

use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, response};

use super::STREAM;
use crate::error::Error;
use crate::proxy::Proxy;
use crate::proxy::answer::{BUFFERED, NEVER};
use crate::proxy::context::RequestContext;
use crate::record::{Outcome, Record};
use crate::relay::{Bounds, DownloadParts, OwnSource, Pump, PumpParts, Source};
use crate::streams::{KeptHead, KeptStream, LogReader, NewStream, Owner};

/// In requests: `1` asks for it.
const RESUME: HeaderName = HeaderName::from_static("x-firstbyte-resume");
/// The same from clients of llama.cpp's, with their own name for it.
const CONVERSATION: HeaderName = HeaderName::from_static("x-conversation-id");
/// Longer names are none, in bytes.
const LONGEST_NAME: usize = 256;

impl Proxy {
    /// Keeps an answer where its request asks for it and its route does it: `parts` then read the stream, which goes on
    /// without them. Where there is no room for it the answer is as any other, and its head says so by saying nothing.
    #[cold]
    pub(in crate::proxy) fn keep<'a>(
        &self,
        context: &RequestContext<'_>,
        head: &mut response::Parts,
        mut parts: DownloadParts<'a>,
    ) -> DownloadParts<'a> {
        let Some(made) = self.stream_of(context, head) else { return parts };
        let source = match parts.source {
            Source::Upstream(source) if !source.is_end() => source,
            other => return DownloadParts { source: other, ..parts },
        };
        let kept = self.keeper.registry.keep(made, Instant::now());
        let id = kept.as_ref().and_then(|kept| HeaderValue::try_from(kept.id().to_string()).ok());
        let (Some(stream), Some(id)) = (kept, id) else {
            return DownloadParts { source: source.into(), ..parts };
        };
        let pump = Pump::new(PumpParts {
            source,
            rest: parts.rest.take(),
            // The client's own time is over for the client.
            bounds: Bounds { until: None, ..parts.bounds },
            deadline: mem::take(&mut parts.deadline),
            answer_guard: parts.answer_guard.take(),
            record: parts.record,
            permit: parts.permit.take(),
            is_event_stream: parts.is_event_stream,
            reads_usage: parts.reads_usage.take(),
        });
        head.headers.insert(STREAM, id);
        parts.record.of_stream(&stream.id().short());
        parts.source = Source::Ours(Box::new(First::new(&stream, parts.record)));
        // Its cursor counts the bytes that a client was given.
        parts.heartbeat = None;
        parts.bounds = Bounds {
            first_frame: NEVER,
            gap: NEVER,
            buffered: parts.bounds.buffered.min(BUFFERED),
            ..parts.bounds
        };
        self.keeper.pumps.start(pump, stream);
        tokio::task::spawn_local(Arc::clone(&self.keeper.registry).sweep_on());
        parts
    }

    /// What to keep; `None` where nothing is.
    fn stream_of(&self, context: &RequestContext<'_>, head: &response::Parts) -> Option<NewStream> {
        let asked = &context.head.headers;
        let route = self.table.lookup(context.head.uri.path()).ok()?.route;
        let route = self.config.routes.get(route.0)?;
        let keeps = route.resume?;
        let conversation = conversation(asked);
        let asks = conversation.is_some() || asked.get(RESUME).is_some_and(|value| value == "1");
        let owner = self.owner(context)?;
        let may = asks && (keeps.anonymous || owner != Owner::Anyone) && head.status.is_success();
        may.then(|| NewStream {
            owner,
            conversation,
            head: KeptHead {
                status: head.status,
                content_type: head.headers.get(CONTENT_TYPE).cloned(),
                content_encoding: head.headers.get(CONTENT_ENCODING).cloned(),
            },
            route: route.path.as_str().into(),
            keeps,
            is_elsewhere: false,
        })
    }
}

/// By which name its client asks for it.
fn conversation(headers: &HeaderMap) -> Option<Box<str>> {
    let name = headers.get(CONVERSATION)?.to_str().ok()?;
    (1..=LONGEST_NAME).contains(&name.len()).then(|| name.into())
}

/// The client that began the stream. That it left is said here: the record lives as long as the pump does, which may end
/// in another way.
struct First {
    reader: LogReader,
    record: Rc<Record>,
}

impl First {
    fn new(stream: &Arc<KeptStream>, record: &Rc<Record>) -> Self {
        Self { reader: LogReader::first(stream), record: Rc::clone(record) }
    }
}

impl OwnSource for First {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        self.reader.poll_next(cx)
    }

    fn is_end(&self) -> bool {
        self.reader.is_end()
    }

    fn read_at(&self) -> Option<Instant> {
        self.reader.read_at()
    }
}

impl Drop for First {
    fn drop(&mut self) {
        if !self.reader.is_over() {
            self.record.end(Outcome::ClientGone);
        }
    }
}
