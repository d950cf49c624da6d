//! The right to one stream.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use http::Request;

use super::Pool;
use crate::admit::LimitGuard;
use crate::error::Cause;
use crate::record::{GaugeGuard, Oversize, Record};
use crate::transport::Wire;
use crate::upstream::connection::{Conn, Sender};
use crate::upstream::stream::head_size::HeadLimit;
use crate::upstream::stream::http1::Link;
use crate::upstream::stream::{Broken, ResponseFuture, SendBody, http2};

/// The right to one stream on one connection. Given back when dropped; if the stream was opened and
/// not finished, the upstream is told at once (HTTP/2: `RST_STREAM`, HTTP/1.1: the connection closes).
pub struct Lease {
    conn: Rc<Conn>,
    pool: Rc<Pool>,
    cold: bool,
    /// Which of its connection's streams, counted from 1.
    nth: u64,
    progress: Cell<Progress>,
    record: Option<Rc<Record>>,
    _counted: GaugeGuard,
    /// Under the bound that all workers keep toward the upstream, where there is one.
    limit_guard: Option<LimitGuard>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Unused,
    Opened,
    Finished,
}

/// A request under way: where its body goes, where its answer comes from, and the right to both.
pub struct Stream {
    /// Takes the request's body.
    pub sink: SendBody,
    /// Gives the answer's head.
    pub response: ResponseFuture,
    /// Given back when dropped.
    pub lease: Lease,
}

impl Lease {
    pub(in crate::upstream) fn new(conn: Rc<Conn>, pool: &Rc<Pool>, cold: bool) -> Self {
        conn.in_flight.set(conn.in_flight.get() + 1);
        conn.served.set(conn.served.get() + 1);
        if conn.served.get() == 1 {
            pool.ahead.used();
        }
        pool.check_requests(&conn);
        if pool.is_apart() {
            pool.meters().oversize(Oversize::Apart);
        }
        Self {
            nth: conn.served.get(),
            conn,
            cold,
            progress: Cell::new(Progress::Unused),
            record: None,
            _counted: pool.meters().streams.enter(),
            pool: Rc::clone(pool),
            limit_guard: None,
        }
    }

    /// Keeps a place under the upstream's bound for as long as it lives.
    pub fn hold(&mut self, limit_guard: LimitGuard) {
        self.limit_guard = Some(limit_guard);
    }

    /// The request had to wait for a connect.
    pub fn is_cold(&self) -> bool {
        self.cold
    }

    /// How HTTP is spoken on the connection.
    pub fn version(&self) -> http::Version {
        self.conn.version()
    }

    /// The largest head that the upstream says it takes, in bytes as [`crate::upstream::HeadSize`] counts them.
    pub fn takes(&self) -> usize {
        self.conn.takes
    }

    /// A head or trailers of its request, or of the answer, are too large.
    pub fn oversize(&self, what: Oversize) {
        self.pool.meters().oversize(what);
    }

    /// What is taken of answers.
    pub fn head_limit(&self) -> HeadLimit {
        self.pool.head_limit()
    }

    /// The connection's socket.
    pub fn wire(&self) -> &Rc<Wire> {
        &self.conn.wire
    }

    /// Puts a request's head on the connection.
    ///
    /// # Errors
    /// [`Broken::Unsent`]: the connection is going away; nothing was written.
    pub fn open(
        mut self,
        head: Request<()>,
        has_body: bool,
        record: &Rc<Record>,
    ) -> Result<Stream, Broken> {
        let (sink, response) = match &self.conn.sender {
            Sender::Http2(sender, _) => {
                let (stream, response) = http2::open(sender, head, has_body)?;
                let takes = self.pool.is_apart().then_some(self.conn.takes);
                let sink = if has_body {
                    SendBody::Http2 { stream, fresh: true, takes }
                } else {
                    SendBody::Closed
                };
                (sink, ResponseFuture::Http2 { response, interims: 0 })
            }
            Sender::Http1(link) => {
                let (sink, response) = link.open(&head, has_body)?;
                let response = ResponseFuture::Http1 { response, interims: 0 };
                (sink.map_or(SendBody::Closed, SendBody::Http1), response)
            }
        };
        self.conn.wire.handed_request_head(record);
        self.progress.set(Progress::Opened);
        self.record = Some(Rc::clone(record));
        Ok(Stream { sink, response, lease: self })
    }

    /// The request goes on elsewhere: how this stream ends is no news of it.
    pub(in crate::upstream) fn forget_request(&mut self) {
        self.record = None;
    }

    /// The connection ended, and no other stream of it said so before.
    pub(in crate::upstream) fn report_failure_once(&self) -> bool {
        !self.conn.failure_reported.replace(true)
    }

    /// The answer's head came: what was sent up to here was read, and did no harm.
    pub(crate) fn answered(&self) {
        self.conn.answered.set(self.conn.answered.get().max(self.nth));
    }

    /// With which word the peer ended the connection, where it was an error and nothing shows that this request
    /// is not why.
    pub(crate) fn accused(&self) -> Option<Cause> {
        self.conn.accused.get().filter(|_| self.conn.answered.get() < self.nth)
    }

    /// Why its stream broke: for our own reasons, for what the protocol says, or for what the socket did.
    pub(crate) fn why(&self, broken: &Broken) -> Cause {
        self.conn.ended_for.get().unwrap_or_else(|| match broken.cause() {
            Cause::Closed => self.conn.wire.failed_for().unwrap_or(Cause::Closed),
            cause => cause,
        })
    }

    /// The answer was read to its end.
    pub(in crate::upstream) fn finish(&self) {
        self.progress.set(Progress::Finished);
    }

    /// An HTTP/1.1 connection that cannot carry another request is closed: what is left of this one's answer
    /// would be taken for the next one's.
    fn give_back(&self, link: &Link) {
        let reusable = match self.progress.get() {
            Progress::Unused => true,
            Progress::Opened => false,
            Progress::Finished => link.rest(),
        };
        if reusable {
            return;
        }
        let began = Instant::now();
        link.close();
        if self.progress.get() == Progress::Opened
            && let Some(record) = &self.record
        {
            record.cancelled(began.elapsed());
        }
        self.pool.drain(&self.conn);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.conn.in_flight.set(self.conn.in_flight.get() - 1);
        match &self.conn.sender {
            Sender::Http2(..) => {
                if self.progress.get() == Progress::Opened
                    && let Some(record) = &self.record
                {
                    self.conn.wire.handed_cancel(record, Instant::now());
                }
            }
            Sender::Http1(link) => self.give_back(link),
        }
        self.pool.freed();
    }
}
