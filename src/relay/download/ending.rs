//! How an answer's body ends: whole, with a failure that the client is told, or dropped.

use std::task::{Context, Poll, ready};

use hyper::body::Frame;

use super::reader::State;
use super::{Download, Polled};
use crate::error::Kind;
use crate::record::Outcome;
use crate::relay::observers::Observer;

impl Download {
    /// No bytes are left to give: the end, the failure, or waiting.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Polled {
        match self.reader.state() {
            State::Open => {
                let (heard, observers) = (self.reader.heard(), &self.report.observers);
                if let Some(heartbeat) = &mut self.heartbeat
                    && let Poll::Ready(comment) = heartbeat.poll(cx, heard, observers)
                {
                    self.reader.precede();
                    let comment = self.delivery.chunk(comment, false, &self.report.record);
                    self.report.record.heartbeat();
                    return Poll::Ready(Some(Ok(Frame::data(comment))));
                }
                let Self { reader, bounds, deadline, report, .. } = self;
                ready!(reader.poll_silence(cx, bounds, deadline, report));
                self.poll_end(cx)
            }
            State::Ended => {
                let trailers = self.reader.take_trailers();
                self.delivery.end(&self.report.record);
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            // An error makes the writer drop what it has not written, even the head: what came before
            // the cut leaves first.
            State::Failed(_) if !self.delivery.has_left(cx) => Poll::Pending,
            State::Failed(_) | State::Told => {
                Poll::Ready(self.reader.take_failure().map(|error| {
                    self.report.failed(&error);
                    Err(error)
                }))
            }
        }
    }

    /// The client has all of it, or its writer has.
    fn is_whole(&self) -> bool {
        matches!(self.reader.state(), State::Ended) || self.delivery.is_whole()
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.delivery.leave(&self.report.record);
        let (whole, done) = (self.is_whole(), self.report.observers.is_done());
        if whole {
            self.sending.discard();
        }
        if whole || done {
            self.report.ended();
        }
        self.report.observers.end(self.reader.unread());
        self.report.settle(self.reader.unread(), whole || done);
        let wire = self.delivery.wire();
        if let State::Failed(error) = self.reader.state()
            && !done
        {
            self.report.failed(error);
        } else if wire.stalled() {
            self.report.give_up(Kind::ClientWriteStall);
        } else if wire.is_doomed() && !self.delivery.is_ended() {
            // Another stream of its connection was, and took it along.
            self.report.evict();
        } else if done || self.reader.is_endless() {
            // SDKs close once they have read its last event.
            self.report.record.end(Outcome::Complete);
        } else if let Some(kind) = wire.ended_by() {
            self.report.ended_by(kind);
        } else if !whole {
            wire.give_up();
        }
    }
}
