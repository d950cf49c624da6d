//! Where an answer comes from.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::response::Parts;

use super::{Exchange, Link, Receiving};
use crate::proto::http1::{
    Chunked, Fault, Limits, ResponseFraming, ResponseHead, Search, Step, parse_response,
};
use crate::upstream::stream::head_size::HeadLimit;
use crate::upstream::stream::{Broken, Chunk};

/// What a status line may have beside what a [`HeadLimit`] counts, which is more than the bytes of the lines.
const STATUS_LINE: usize = 256;

/// An answer's head, to come.
pub(in crate::upstream) struct ResponseFuture(Rc<Link>);

/// An answer's body, to come.
pub(in crate::upstream) struct ResponseBody(Rc<Link>);

/// What comes before a body.
pub(in crate::upstream) enum Event {
    /// An interim response (1xx); another head is to come.
    Interim(Parts),
    /// The final head.
    Head(Parts, ResponseBody),
}

impl ResponseFuture {
    pub(super) fn new(link: Rc<Link>) -> Self {
        Self(link)
    }

    /// Ready with the next head, interim or final. Writes what is to be written meanwhile. Not to be asked again
    /// after the final one.
    pub(in crate::upstream) fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
        limit: HeadLimit,
    ) -> Poll<Result<Event, Broken>> {
        let mut exchange = self.0.exchange.borrow_mut();
        let _rest = exchange.poll_flush(&self.0.wire, cx);
        if let Some(broken) = exchange.failed.take() {
            return Poll::Ready(Err(broken));
        }
        let head = ready!(exchange.poll_head(cx, limit))?;
        let ResponseHead { parts, framing, keep_alive } = head;
        if parts.status.is_informational() && parts.status != http::StatusCode::SWITCHING_PROTOCOLS
        {
            return Poll::Ready(Ok(Event::Interim(parts)));
        }
        exchange.persists &= keep_alive;
        exchange.receiving = match framing {
            ResponseFraming::Length(0) => Receiving::Done,
            ResponseFraming::Length(length) => Receiving::Length(length),
            ResponseFraming::Chunked => {
                Receiving::Chunked(Chunked::of_response(limit.bytes, limit.lines))
            }
            ResponseFraming::UntilClose => Receiving::UntilClose,
        };
        exchange.let_go();
        Poll::Ready(Ok(Event::Head(parts, ResponseBody(Rc::clone(&self.0)))))
    }
}

impl ResponseBody {
    /// Everything was read.
    pub(in crate::upstream) fn is_end(&self) -> bool {
        matches!(self.0.exchange.borrow().receiving, Receiving::Done)
    }

    /// The next piece; `None` is the clean end. Writes what is left of the request meanwhile.
    pub(in crate::upstream) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Chunk, Broken>>> {
        let mut exchange = self.0.exchange.borrow_mut();
        let _rest = exchange.poll_flush(&self.0.wire, cx);
        exchange.poll_chunk(cx)
    }
}

/// TLS ended without a farewell: nobody knows whether this is all.
fn is_cut(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

impl Exchange {
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        limit: HeadLimit,
    ) -> Poll<Result<ResponseHead, Broken>> {
        let limits = Limits { bytes: limit.bytes + STATUS_LINE, headers: limit.lines };
        loop {
            let Receiving::Head { search, to_head } = &mut self.receiving else {
                return Poll::Ready(Err(Broken::Http1(Fault::ClosedBeforeHead)));
            };
            let to_head = *to_head;
            match search.find_response(&mut self.ahead, limits) {
                Ok(Some(length)) => {
                    *search = Search::default();
                    // A copy of its own: values of it may live on in the client connection's header table, and
                    // would keep the body's first bytes with them.
                    let block = Bytes::copy_from_slice(&self.ahead[..length]);
                    self.ahead.advance(length);
                    return Poll::Ready(match parse_response(&block, limits, to_head) {
                        Ok(head) => Ok(head),
                        Err(fault) => Err(self.lost(fault.after(&block))),
                    });
                }
                Ok(None) => {}
                Err(fault) => {
                    let fault = fault.after(&self.ahead);
                    return Poll::Ready(Err(self.lost(fault)));
                }
            }
            let fault = match ready!(self.poll_read(cx)) {
                Ok(1..) => continue,
                Err(error) if !is_cut(&error) => {
                    self.receiving = Receiving::Lost;
                    return Poll::Ready(Err(Broken::Closed(error)));
                }
                _ if self.ahead.is_empty() => Fault::ClosedBeforeHead,
                _ => Fault::ClosedInHead.after(&self.ahead),
            };
            return Poll::Ready(Err(self.lost(fault)));
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Broken>>> {
        loop {
            let step = self.step();
            self.let_go();
            match step {
                Ok(Step::Data(data)) => return Poll::Ready(Some(Ok(Chunk::Data(data)))),
                Ok(Step::Trailers(lines)) => return Poll::Ready(Some(Ok(Chunk::Trailers(lines)))),
                Ok(Step::End) => return Poll::Ready(None),
                Ok(Step::More) => {}
                Err(fault) => return Poll::Ready(Some(Err(self.lost(fault)))),
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) if matches!(self.receiving, Receiving::UntilClose) => {
                    self.receiving = Receiving::Done;
                }
                Ok(1..) => {}
                Err(error) if !is_cut(&error) => {
                    self.receiving = Receiving::Lost;
                    return Poll::Ready(Some(Err(Broken::Closed(error))));
                }
                _ => return Poll::Ready(Some(Err(self.lost(Fault::ClosedInBody)))),
            }
        }
    }

    /// What is at hand of the body.
    fn step(&mut self) -> Result<Step, Fault> {
        let Self { receiving, ahead, .. } = self;
        match receiving {
            Receiving::Done => Ok(Step::End),
            Receiving::Length(_) | Receiving::UntilClose if ahead.is_empty() => Ok(Step::More),
            Receiving::UntilClose => Ok(Step::Data(std::mem::take(ahead).freeze())),
            Receiving::Length(left) if *left > ahead.len() as u64 => {
                *left -= ahead.len() as u64;
                Ok(Step::Data(std::mem::take(ahead).freeze()))
            }
            Receiving::Length(left) => {
                let last = ahead.split_to(*left as usize).freeze();
                self.receiving = Receiving::Done;
                Ok(Step::Data(last))
            }
            Receiving::Chunked(chunked) => match chunked.next(ahead) {
                Ok(step) => {
                    if chunked.is_end() {
                        self.receiving = Receiving::Done;
                    }
                    Ok(step)
                }
                Err(_) if chunked.trails_too_much(ahead) => Err(Fault::TrailersTooLarge),
                Err(_) => Err(Fault::Chunk),
            },
            Receiving::Nothing | Receiving::Head { .. } | Receiving::Lost => {
                Err(Fault::ClosedInBody)
            }
        }
    }

    fn lost(&mut self, fault: Fault) -> Broken {
        self.receiving = Receiving::Lost;
        fault.into()
    }
}
