//! HTTP/2 through the `h2` crate, so that streams can be reset, refused and disowned at will.

mod answer;
mod sink;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Shared;
use super::exchange::{Pump, exchange};
use crate::upstream::clock::now_ns;
use crate::upstream::log::recorder::Entry;
use crate::upstream::log::{ConnectionEnd, HeaderLine};
use crate::upstream::script::intake::Intake;
use crate::upstream::script::seen::Seen;
use crate::upstream::script::sink::Gone;
use crate::upstream::wire::{Cut, Wire};

pub(in crate::upstream) use answer::Answer;
use answer::gone;

/// What one stream may have queued in `h2` before it has to wait. Streams let it drain after every batch, for a
/// queue that outgrows the cache costs a quarter more per frame; only a socket that takes no more fills this, and
/// only then (or when the peer's window ends) is a frame split.
const SEND_BUFFER: usize = 256 * 1024;
/// Windows for request bodies: the mock is never the bottleneck of an upload.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// What the streams of one connection want from its driver.
#[derive(Default)]
pub(in crate::upstream) struct Control {
    /// Send the graceful GOAWAY.
    graceful: Cell<bool>,
    /// Close once no stream is left.
    closing: Cell<bool>,
    /// Streams above this were disowned by a GOAWAY: they are neither counted nor answered.
    last_stream: Cell<Option<u32>>,
    /// Answers that must neither be sent nor reset.
    parked: RefCell<Vec<Answer>>,
    changed: Notify,
}

impl Control {
    fn disowns(&self, stream: u32) -> bool {
        self.last_stream.get().is_some_and(|last| stream > last)
    }

    /// Sends the graceful GOAWAY.
    fn retire(&self) {
        self.graceful.set(true);
        self.changed.notify_one();
    }
}

/// Serves one connection until it ends.
pub(in crate::upstream) async fn drive(
    shared: Rc<Shared>,
    wire: Wire,
    number: u64,
) -> ConnectionEnd {
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
    let mut driver = Driver { shared, wire, number, control, streams: JoinSet::new() };
    let end = driver.accept(&mut connection).await;
    driver.abandon().await;
    end
}

/// One connection's requests.
struct Driver {
    shared: Rc<Shared>,
    wire: Wire,
    number: u64,
    control: Rc<Control>,
    streams: JoinSet<()>,
}

impl Driver {
    /// Starts a task per request, and drives the connection meanwhile.
    async fn accept(
        &mut self,
        connection: &mut h2::server::Connection<Wire, Bytes>,
    ) -> ConnectionEnd {
        let mut nth_on_connection = 0;
        loop {
            tokio::select! {
                biased;
                accepted = connection.accept() => match accepted {
                    Some(Ok((request, respond))) => {
                        let number = self.number;
                        self.begin(Incoming { request, respond, number, nth_on_connection });
                        nth_on_connection += 1;
                    }
                    Some(Err(error)) => return ending(&self.wire, Some(&error)),
                    None => return ending(&self.wire, None),
                },
                Some(done) = self.streams.join_next(), if !self.streams.is_empty() => {
                    self.shared.note_panic(done);
                    if self.control.closing.get() && self.streams.is_empty() {
                        self.wire.at_boundary(Bytes::new(), Some(Cut::Fin));
                    }
                }
                () = self.control.changed.notified() => {
                    if self.control.graceful.take() {
                        connection.graceful_shutdown();
                    }
                }
            }
        }
    }

    fn begin(&mut self, incoming: Incoming) {
        // Reaped first, so that the peak below counts only what is under way.
        while let Some(done) = self.streams.try_join_next() {
            self.shared.note_panic(done);
        }
        let (shared, wire) = (self.shared.clone(), self.wire.clone());
        self.streams.spawn_local(serve(shared, wire, self.control.clone(), incoming));
        let now = self.streams.len();
        self.shared.recorder.update_connection(self.number, |seen| {
            seen.peak_streams = seen.peak_streams.max(now);
        });
    }

    /// Ends the requests of a connection that has ended, so that the log closes them before it.
    async fn abandon(&mut self) {
        self.streams.abort_all();
        while let Some(done) = self.streams.join_next().await {
            self.shared.note_panic(done);
        }
    }
}

/// Says why the connection ended, and lets the socket linger: whatever the peer still sends would otherwise turn
/// our FIN into a RST, which may destroy frames that the peer has not read yet.
fn ending(wire: &Wire, error: Option<&h2::Error>) -> ConnectionEnd {
    wire.close();
    match error {
        _ if wire.is_cut() => ConnectionEnd::Scripted,
        Some(error) if error.is_go_away() && error.is_remote() => {
            ConnectionEnd::PeerGoaway { code: error.reason().map_or(0, u32::from) }
        }
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
    let stream = respond.stream_id().as_u32();
    let bodyless = request.method() == http::Method::HEAD;
    let mut answer = Answer::new(respond, wire.clone(), control.clone(), bodyless);
    if control.disowns(stream) {
        return control.parked.borrow_mut().push(answer);
    }
    if let Some(which) = shared.goaway_due(nth_on_connection) {
        answer.goaway(which).await;
    }
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let seen = Seen {
        nth: shared.next_request(),
        connection: number,
        nth_on_connection,
        stream,
        method: parts.method.as_str().to_owned(),
        path: path.to_owned(),
        authority: parts.uri.authority().map(|authority| authority.as_str().to_owned()),
        headers: lines(&parts.headers),
        body: Bytes::new(),
        body_len: 0,
        body_sha256: None,
        head_ns,
    };
    exchange(&shared, &wire, seen, &mut Upload(body), &mut answer).await;
    if answer.is_parked() {
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
