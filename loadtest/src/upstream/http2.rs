//! HTTP/2 through the `h2` crate, so that streams can be reset, refused and disowned at will.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use bytes::{BufMut, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::clock::now_ns;
use super::exchange::{Pump, exchange};
use super::intake::Intake;
use super::log::{ConnectionEnd, Entry, HeaderLine};
use super::script::{Goaway, Head};
use super::seen::Seen;
use super::server::Shared;
use super::sink::{Gone, Sink};
use super::wire::{Cut, Wire};

/// What one stream may have queued in h2 before it has to wait: large enough for a burst, small enough for a cache.
const SEND_BUFFER: usize = 256 * 1024;
/// Windows for request bodies: the mock is never the bottleneck of an upload.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// What the streams of one connection want from its driver.
#[derive(Default)]
struct Control {
    /// Send the graceful GOAWAY.
    graceful: Cell<bool>,
    /// Close once no stream is left.
    closing: Cell<bool>,
    /// Streams above this were disowned and are ignored.
    last_stream: Cell<Option<u32>>,
    /// Answers that must neither be sent nor reset.
    parked: RefCell<Vec<Answer>>,
    changed: Notify,
}

impl Control {
    /// Sends the graceful GOAWAY.
    fn retire(&self) {
        self.graceful.set(true);
        self.changed.notify_one();
    }
}

/// Serves one connection until it ends.
pub(super) async fn drive(shared: Rc<Shared>, wire: Wire, number: u64) -> ConnectionEnd {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(4096)
        .max_pending_accept_reset_streams(100_000)
        .max_local_error_reset_streams(None);
    if let Some(limit) = shared.settings.stream_limit {
        builder.max_concurrent_streams(limit);
    }
    let mut connection = match builder.handshake::<_, Bytes>(wire.clone()).await {
        Ok(connection) => connection,
        Err(error) => return ending(&wire, Some(&error)),
    };
    let control = Rc::new(Control::default());
    let retired = control.clone();
    let _registered = shared.live.register(number, wire.clone(), move || retired.retire());
    let mut streams = JoinSet::new();
    let mut nth_on_connection = 0;
    loop {
        tokio::select! {
            biased;
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let stream = respond.stream_id().as_u32();
                    if control.last_stream.get().is_some_and(|last| stream > last) {
                        continue;
                    }
                    let request = Incoming { request, respond, number, nth_on_connection };
                    nth_on_connection += 1;
                    streams.spawn_local(serve(shared.clone(), wire.clone(), control.clone(), request));
                    shared.recorder.update_connection(number, |seen| {
                        seen.peak_streams = seen.peak_streams.max(streams.len());
                    });
                }
                Some(Err(error)) => return ending(&wire, Some(&error)),
                None => return ending(&wire, None),
            },
            Some(done) = streams.join_next(), if !streams.is_empty() => {
                shared.note_panic(done);
                if control.closing.get() && streams.is_empty() {
                    wire.at_boundary(Bytes::new(), Some(Cut::Fin));
                }
            }
            () = control.changed.notified() => {
                if control.graceful.take() {
                    connection.graceful_shutdown();
                }
            }
        }
    }
}

/// Says why the connection ended, and lets the socket linger: whatever the peer still sends would otherwise turn
/// our FIN into a RST, which may destroy frames that the peer has not read yet.
fn ending(wire: &Wire, error: Option<&h2::Error>) -> ConnectionEnd {
    let scripted = wire.is_cut();
    wire.cut(Cut::Fin);
    match error {
        _ if scripted => ConnectionEnd::Scripted,
        Some(error) => ConnectionEnd::Failed(error.to_string()),
        None => ConnectionEnd::Closed,
    }
}

struct Incoming {
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
    number: u64,
    nth_on_connection: u64,
}

async fn serve(shared: Rc<Shared>, wire: Wire, control: Rc<Control>, incoming: Incoming) {
    let Incoming { request, respond, number, nth_on_connection } = incoming;
    let head_ns = now_ns();
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let seen = Seen {
        nth: shared.next_request(),
        connection: number,
        nth_on_connection,
        stream: respond.stream_id().as_u32(),
        method: parts.method.as_str().to_owned(),
        path: path.to_owned(),
        authority: parts.uri.authority().map(|authority| authority.as_str().to_owned()),
        headers: lines(&parts.headers),
        body: Bytes::new(),
        body_len: 0,
        body_sha256: None,
        head_ns,
    };
    let mut answer = Answer {
        respond,
        body: None,
        wire,
        control: control.clone(),
        stream: seen.stream,
        room: 0,
        bodyless: parts.method == http::Method::HEAD,
        ended: false,
        parked: false,
    };
    if let Some(which) = shared.goaway_due(nth_on_connection) {
        answer.goaway(which).await;
    }
    let mut sink = Sink::H2(answer);
    exchange(&shared, seen, &mut Upload(body), &mut sink).await;
    if let Sink::H2(answer) = sink
        && answer.parked
    {
        control.parked.borrow_mut().push(answer);
    }
}

fn lines(headers: &HeaderMap) -> Vec<HeaderLine> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| HeaderLine {
        name: name.as_str().to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    };
    headers.iter().map(line).collect()
}

/// The request's body.
struct Upload(RecvStream);

impl Pump for Upload {
    async fn read_body(&mut self, intake: &Intake, entry: &Entry) -> Result<(), Gone> {
        while let Some(piece) = self.0.data().await {
            let piece = piece.map_err(|error| gone(&error))?;
            let len = piece.len();
            intake.push(piece, entry).await;
            let _ = self.0.flow_control().release_capacity(len);
        }
        let trailers = self.0.trailers().await.map_err(|error| gone(&error))?;
        intake.finish(trailers.as_ref().map(lines).unwrap_or_default(), entry);
        Ok(())
    }

    /// The answer's side sees resets by itself.
    async fn gone(&mut self) -> Gone {
        std::future::pending().await
    }
}

fn gone(error: &h2::Error) -> Gone {
    match error.reason() {
        Some(reason) if error.is_remote() && error.is_reset() => Gone::Reset(reason.into()),
        _ => Gone::Closed,
    }
}

/// One answer under way.
pub(super) struct Answer {
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
    pub(super) fn informational(&mut self, head: &Head) -> Result<(), Gone> {
        let sent = self.respond.send_informational(response(head));
        sent.map_err(|error| gone(&error))
    }

    pub(super) fn head(&mut self, head: &Head, end: bool) -> Result<(), Gone> {
        let end = end || self.bodyless;
        let body = self.respond.send_response(response(head), end);
        self.body = Some(body.map_err(|error| gone(&error))?);
        self.ended = end;
        Ok(())
    }

    pub(super) async fn data(
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
    pub(super) async fn empty_frames(&mut self, count: u32) {
        let frame = frame_head(0, DATA, self.stream);
        self.raw(frame.repeat(count as usize).into()).await;
    }

    pub(super) fn trailers(&mut self, lines: &[(String, String)]) -> Result<(), Gone> {
        let Some(body) = &mut self.body else { return Err(Gone::Closed) };
        self.ended = true;
        body.send_trailers(headers(lines)).map_err(|error| gone(&error))
    }

    pub(super) fn finish(&mut self) -> Result<(), Gone> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        let Some(body) = &mut self.body else { return Err(Gone::Closed) };
        body.send_data(Bytes::new(), true).map_err(|error| gone(&error))
    }

    pub(super) async fn raw(&mut self, bytes: Bytes) {
        self.let_leave().await;
        self.wire.at_boundary(bytes, None);
        self.let_leave().await;
    }

    pub(super) async fn cut(&mut self, how: Cut) {
        self.parked = true;
        self.let_leave().await;
        let bytes = if how == Cut::MidFrame { half_a_frame(self.stream) } else { Bytes::new() };
        self.wire.at_boundary(bytes, Some(how));
    }

    /// What was sent before leaves first; `h2` would drop it otherwise.
    pub(super) async fn reset(&mut self, code: u32) {
        self.let_leave().await;
        let reason = Reason::from(code);
        match &mut self.body {
            Some(body) => body.send_reset(reason),
            None => self.respond.send_reset(reason),
        }
    }

    /// True if the request counts as not processed and is over.
    pub(super) async fn goaway(&mut self, which: Goaway) -> bool {
        let (last, reason) = match which {
            Goaway::Graceful => {
                self.control.retire();
                return false;
            }
            Goaway::AfterThis => (self.stream, Reason::NO_ERROR),
            Goaway::Error => (self.stream, Reason::INTERNAL_ERROR),
            Goaway::BelowThis => (self.stream.saturating_sub(2), Reason::NO_ERROR),
        };
        self.raw(goaway_frame(last, reason.into())).await;
        self.control.last_stream.set(Some(last));
        self.control.closing.set(true);
        self.parked = which == Goaway::BelowThis;
        self.parked
    }

    /// The peer reset this stream or left altogether.
    pub(super) async fn gone(&mut self) -> Gone {
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
