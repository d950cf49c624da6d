//! One answer on its way to an HTTP/1.1 client.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response, Version, response};
use hyper::body::Body;

use crate::proto::http1::{Coding, Out, Persistence, encode, is_bodyless};
use crate::relay::{RelayBody, TrackedBytes};
use crate::transport::ClientSocket;

/// What the request says of its answer's form.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResponseForm {
    pub(super) version: Version,
    /// By HEAD: the answer has no body.
    pub(super) head_only: bool,
    /// The client reads trailers.
    pub(super) trailers: bool,
}

/// An answer, from its head to its last byte. Dropped before that, it was cut.
pub(super) struct ResponseWriter {
    body: RelayBody,
    coding: Coding,
    out: Out<TrackedBytes>,
    /// What is missing of the length that was told.
    left: Option<u64>,
    state: State,
}

enum State {
    Open,
    /// The body has ended; its end is not in `out` yet.
    Ending(Option<HeaderMap>),
    Ended,
}

/// The answer did not arrive whole: the client takes no more, the body failed (and all that came before
/// has left), or it is not as long as was told.
#[derive(Debug)]
pub(super) struct Cut;

impl ResponseWriter {
    /// Begins with `first`, which is what is left of an interim answer, and the head.
    pub(super) fn new(
        answer: Response<RelayBody>,
        form: ResponseForm,
        persistence: Persistence,
        first: &[u8],
    ) -> Self {
        let (head, body) = answer.into_parts();
        let coding = coding(&head, &body, form);
        let persistence = match coding {
            Coding::UntilClose => Persistence::Close,
            _ => persistence,
        };
        let mut out = Out::default();
        out.bytes().extend_from_slice(first);
        encode(&head, coding, persistence, out.bytes());
        let left = match coding {
            Coding::Length(length) => Some(length),
            _ => None,
        };
        Self { body, coding, out, left, state: State::Open }
    }

    /// Whether the answer's end is the connection's.
    pub(super) fn is_until_close(&self) -> bool {
        self.coding == Coding::UntilClose
    }

    /// Gives on what the body has, in the same poll. Ready when all has left for the kernel.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut ClientSocket,
    ) -> Poll<Result<(), Cut>> {
        loop {
            let filled = self.fill(cx)?;
            ready!(self.out.poll_write(socket, cx)).map_err(|_: io::Error| Cut)?;
            if matches!(self.state, State::Ended) {
                return Poll::Ready(Ok(()));
            }
            ready!(filled);
        }
    }

    /// Takes from the body until there is enough for one write; pending if the body has no more.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Cut> {
        while matches!(self.state, State::Open) && !self.out.is_full() {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(None) => self.state = State::Ending(None),
                // What failed is in the record already, and there is nothing to say here.
                Poll::Ready(Some(Err(_told))) => return Err(Cut),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.push(data)?,
                    Err(frame) => self.state = State::Ending(frame.into_trailers().ok()),
                },
            }
        }
        self.end()?;
        Ok(Poll::Ready(()))
    }

    fn push(&mut self, data: TrackedBytes) -> Result<(), Cut> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(data.remaining() as u64).ok_or(Cut)?;
        }
        match self.coding {
            Coding::Chunked { .. } => self.out.chunk(data),
            Coding::Length(_) | Coding::UntilClose => self.out.data(data),
            Coding::Bodyless => {}
        }
        // Told now rather than by the next poll, the end leaves with the last bytes.
        if self.body.is_end_stream() {
            self.state = State::Ending(None);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Cut> {
        let State::Ending(trailers) = &mut self.state else { return Ok(()) };
        if self.left.is_some_and(|left| left > 0) {
            return Err(Cut);
        }
        if let Coding::Chunked { trailers: wanted } = self.coding {
            let trailers = trailers.take().filter(|_| wanted);
            if trailers.is_some() && self.out.is_full() {
                self.state = State::Ending(trailers);
                return Ok(());
            }
            self.out.last_chunk(trailers.as_ref());
        }
        self.state = State::Ended;
        Ok(())
    }
}

fn coding(head: &response::Parts, body: &RelayBody, form: ResponseForm) -> Coding {
    if form.head_only || is_bodyless(head.status) {
        return Coding::Bodyless;
    }
    let told = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    match told.and_then(|length| length.parse().ok()) {
        Some(length) => Coding::Length(length),
        None if body.is_end_stream() => Coding::Length(0),
        None if form.version == Version::HTTP_11 => Coding::Chunked { trailers: form.trailers },
        None => Coding::UntilClose,
    }
}
