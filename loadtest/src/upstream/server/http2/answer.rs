//! An answer under HTTP/2: what `h2` cannot do to it is written past `h2`, between two frames.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use bytes::{BufMut, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::Control;
use crate::upstream::script::sink::Gone;
use crate::upstream::script::step::{Goaway, Head};
use crate::upstream::wire::{Cut, Wire};

/// One answer under way.
pub(in crate::upstream) struct Answer {
    respond: SendResponse<Bytes>,
    body: Option<SendStream<Bytes>>,
    wire: Wire,
    control: Rc<Control>,
    stream: u32,
    /// Flow-control capacity that is known to be ours.
    room: usize,
    bodyless: bool,
    ended: bool,
    parked: bool,
}

impl Answer {
    /// `bodyless`: the request was a HEAD.
    pub(super) fn new(
        respond: SendResponse<Bytes>,
        wire: Wire,
        control: Rc<Control>,
        bodyless: bool,
    ) -> Self {
        let stream = respond.stream_id().as_u32();
        let (body, room, ended, parked) = (None, 0, false, false);
        Self { respond, body, wire, control, stream, room, bodyless, ended, parked }
    }

    /// Whether it must be kept as it is: dropping it would send a RST_STREAM.
    pub(super) fn is_parked(&self) -> bool {
        self.parked
    }

    pub(in crate::upstream) fn informational(&mut self, head: &Head) -> Result<(), Gone> {
        let sent = self.respond.send_informational(response(head));
        sent.map_err(|error| gone(&error))
    }

    pub(in crate::upstream) fn head(&mut self, head: &Head, end: bool) -> Result<(), Gone> {
        let end = end || self.bodyless;
        let body = self.respond.send_response(response(head), end);
        self.body = Some(body.map_err(|error| gone(&error))?);
        self.ended = end;
        Ok(())
    }

    pub(in crate::upstream) async fn data(
        &mut self,
        mut frame: Bytes,
        more: usize,
        end: bool,
    ) -> Result<(), Gone> {
        if self.ended {
            return Ok(());
        }
        let Some(body) = &mut self.body else { return Err(Gone::Closed) };
        self.ended = end;
        if frame.is_empty() {
            return body.send_data(frame, end).map_err(|error| gone(&error));
        }
        while !frame.is_empty() {
            if self.room == 0 {
                self.room = room(body, frame.len() + more).await?;
            }
            let piece = frame.split_to(self.room.min(frame.len()));
            self.room -= piece.len();
            body.send_data(piece, end && frame.is_empty()).map_err(|error| gone(&error))?;
        }
        if more == 0 {
            // A stream that waits must not hold back capacity that another could use.
            self.room = 0;
        }
        Ok(())
    }

    /// Written past `h2`, which has its own mind about frames that carry nothing.
    pub(in crate::upstream) async fn empty_frames(&mut self, count: u32) {
        let frame = frame_head(0, DATA, self.stream);
        self.raw(frame.repeat(count as usize).into()).await;
    }

    pub(in crate::upstream) fn trailers(&mut self, lines: &[(String, String)]) -> Result<(), Gone> {
        let Some(body) = &mut self.body else { return Err(Gone::Closed) };
        self.ended = true;
        body.send_trailers(headers(lines)).map_err(|error| gone(&error))
    }

    pub(in crate::upstream) fn finish(&mut self) -> Result<(), Gone> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        let Some(body) = &mut self.body else { return Err(Gone::Closed) };
        body.send_data(Bytes::new(), true).map_err(|error| gone(&error))
    }

    pub(in crate::upstream) async fn raw(&mut self, bytes: Bytes) {
        self.let_leave().await;
        self.wire.at_boundary(bytes, None);
        self.let_leave().await;
    }

    pub(in crate::upstream) async fn cut(&mut self, how: Cut) {
        self.parked = true;
        self.let_leave().await;
        let bytes = if how == Cut::MidFrame { half_a_frame(self.stream) } else { Bytes::new() };
        self.wire.at_boundary(bytes, Some(how));
    }

    /// What was sent before leaves first; `h2` would drop it otherwise.
    pub(in crate::upstream) async fn reset(&mut self, code: u32) {
        self.let_leave().await;
        let reason = Reason::from(code);
        match &mut self.body {
            Some(body) => body.send_reset(reason),
            None => self.respond.send_reset(reason),
        }
    }

    /// True if the request counts as not processed and is over.
    pub(in crate::upstream) async fn goaway(&mut self, which: Goaway) -> bool {
        let (last, reason) = match which {
            Goaway::Graceful => {
                self.control.retire();
                return false;
            }
            Goaway::AfterThis => (self.stream, Reason::NO_ERROR),
            Goaway::Error => (self.stream, Reason::INTERNAL_ERROR),
            Goaway::BelowThis => (self.stream.saturating_sub(2), Reason::NO_ERROR),
        };
        // Before anything else runs: a stream that begins meanwhile is disowned already.
        self.control.last_stream.set(Some(last));
        self.control.closing.set(true);
        self.raw(goaway_frame(last, reason.into())).await;
        self.parked = which == Goaway::BelowThis;
        self.parked
    }

    /// The peer reset this stream or left altogether.
    pub(in crate::upstream) async fn gone(&mut self) -> Gone {
        let reset = poll_fn(|cx| match &mut self.body {
            _ if self.ended => Poll::Pending,
            Some(body) => body.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        });
        match reset.await {
            Ok(reason) => Gone::Reset(reason.into()),
            Err(error) => gone(&error),
        }
    }

    /// Gives the connection's task turns to write what is queued.
    async fn let_leave(&self) {
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
    }
}

/// Waits for flow-control capacity; at most `wanted` is reserved, for what is reserved others cannot use.
async fn room(body: &mut SendStream<Bytes>, wanted: usize) -> Result<usize, Gone> {
    body.reserve_capacity(wanted);
    loop {
        let room = body.capacity();
        if room > 0 {
            return Ok(room);
        }
        match poll_fn(|cx| body.poll_capacity(cx)).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(gone(&error)),
            None => {
                let reason = poll_fn(|cx| body.poll_reset(cx)).await;
                return Err(reason.map_or(Gone::Closed, |reason| Gone::Reset(reason.into())));
            }
        }
    }
}

fn response(head: &Head) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::OK);
    *response.headers_mut() = headers(&head.headers);
    response
}

fn headers(lines: &[(String, String)]) -> HeaderMap {
    let valid = lines.iter().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    });
    let mut map = HeaderMap::with_capacity(lines.len());
    for (name, value) in valid {
        map.append(name, value);
    }
    map
}

const DATA: u8 = 0;
const GOAWAY: u8 = 7;

/// A frame's head without flags (RFC 9113, section 4.1).
fn frame_head(length: u32, kind: u8, stream: u32) -> [u8; 9] {
    let [_, high, middle, low] = length.to_be_bytes();
    let [a, b, c, d] = stream.to_be_bytes();
    [high, middle, low, kind, 0, a, b, c, d]
}

/// A DATA frame that claims 1,024 bytes and has 100 (RFC 9113, section 6.1).
fn half_a_frame(stream: u32) -> Bytes {
    let mut frame = BytesMut::from(&frame_head(1024, DATA, stream)[..]);
    frame.put_bytes(b'x', 100);
    frame.freeze()
}

/// RFC 9113, section 6.8.
fn goaway_frame(last_stream: u32, code: u32) -> Bytes {
    let mut frame = BytesMut::from(&frame_head(8, GOAWAY, 0)[..]);
    frame.put_u32(last_stream);
    frame.put_u32(code);
    frame.freeze()
}

/// What an error of `h2` says about the peer.
pub(super) fn gone(error: &h2::Error) -> Gone {
    match error.reason() {
        Some(reason) if error.is_remote() && error.is_reset() => Gone::Reset(reason.into()),
        _ => Gone::Closed,
    }
}
