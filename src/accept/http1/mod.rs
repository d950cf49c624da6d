//! HTTP/1.1 toward a client.

mod grace;
mod response_writer;

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, Bytes};
use http::header::CONNECTION;
use http::{Method, Request, Response, Version};

use super::acceptor::Acceptor;
use super::closing;
use super::drain::{DrainGuard, Stage};
use super::head_timeout::{Expired, HeadTimeout};
use super::idle::{Rest, Why};
use crate::error::Kind;
use crate::proto::http1::{Framing, Head, Intake, Limits, Persistence, Search, Taken, parse};
use crate::proxy::Client;
use crate::record::Hangup;
use crate::relay::drive::BodySlot;
use crate::relay::{RelayBody, RequestBody};
use crate::transport::{ClientSocket, Peer};
use grace::Grace;
use response_writer::{ResponseForm, ResponseWriter};

/// Serves a connection to its end. Dropped, it takes the request in flight with it.
pub(super) async fn serve(
    acceptor: &Rc<Acceptor>,
    socket: ClientSocket,
    client: Rc<Client>,
    drain_guard: &mut DrainGuard,
    rest: Rest,
    began: Instant,
) {
    let slot = BodySlot::default();
    let session = Session { rest: Some(rest), ..Session::new(acceptor, &socket, client, began) };
    session.tell(drain_guard.told().into());
    let mut life = std::pin::pin!(session.live());
    std::future::poll_fn(|cx| {
        if let Some(stage) = drain_guard.poll_told(cx) {
            session.tell(stage.into());
        }
        session.poll_sent_away(cx);
        socket.begin_poll();
        if slot.poll(cx, |cx| life.as_mut().poll(cx)).is_ready() {
            return Poll::Ready(());
        }
        if session.in_flight.get() && socket.poll_peer(cx) == Peer::Left {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

/// Answers what is on its way with this refusal, and closes. Dropped, it closes at once.
pub(super) async fn refuse(
    acceptor: &Rc<Acceptor>,
    socket: ClientSocket,
    client: Rc<Client>,
    kind: Kind,
) {
    let session = Session::new(acceptor, &socket, client, Instant::now());
    if session.turn_away(kind).await != After::Cut {
        closing::close(&session.socket).await;
    }
}

struct Session<'a> {
    acceptor: &'a Acceptor,
    socket: ClientSocket,
    client: Rc<Client>,
    /// When the connection was accepted.
    began: Instant,
    /// A request is under way: a client that leaves now is to be noticed, though nobody reads.
    in_flight: Cell<bool>,
    told: Cell<Told>,
    /// Among those without a request, where it may stay.
    rest: Option<Rest>,
}

/// Whether the connection is to end, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Stay,
    /// With its next answer, which says so.
    Last,
    /// The same, or without one after a moment of rest: see [`grace`].
    Soon,
    /// Now, unless a request has begun.
    Now,
    /// The same, and nobody lingers for it: its place is taken.
    Room,
}

/// Why no request comes any more.
enum Ended {
    /// The connection is to end before another one.
    Leave,
    /// The client left, or must make room.
    Gone,
}

/// What becomes of a connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// The next request may come.
    Stay,
    /// The answer was whole, and the last.
    Close,
    /// The same, and the client may still be sending its request.
    Linger,
    /// The answer was cut, and the client must see that: the end comes without ceremony.
    Cut,
}

impl<'a> Session<'a> {
    fn new(
        acceptor: &'a Acceptor,
        socket: &ClientSocket,
        client: Rc<Client>,
        began: Instant,
    ) -> Self {
        let (in_flight, told) = (Cell::new(false), Cell::new(Told::Stay));
        Self { acceptor, socket: socket.clone(), client, began, in_flight, told, rest: None }
    }

    fn tell(&self, told: Told) {
        self.told.set(told.max(self.told.get()));
    }

    /// It rested for too long, or longest when its place was needed.
    fn poll_sent_away(&self, cx: &Context<'_>) {
        if let Some(why) = self.rest.as_ref().and_then(|rest| rest.poll_told(cx)) {
            self.acceptor.recorder().hung_up(why.into());
            self.tell(match why {
                Why::Rest => Told::Now,
                Why::Room => Told::Room,
            });
        }
    }

    /// The head of a request begins: the connection has one to finish.
    fn wakes(&self) {
        if let Some(rest) = &self.rest {
            rest.ends();
        }
    }

    /// One request after the other.
    async fn live(&self) {
        // The first head's time runs since the connection was accepted: it is what the protocol was
        // recognised by.
        let (mut begun, mut since) = (true, self.began);
        loop {
            let head = match self.head(begun, since).await {
                Ok(head) => head,
                Err(Ended::Leave) => break,
                Err(Ended::Gone) => return,
            };
            self.in_flight.set(true);
            self.wakes();
            let after = match head {
                Ok(head) => self.answer(head).await,
                Err(kind) => self.turn_away(kind).await,
            };
            self.in_flight.set(false);
            match after {
                After::Stay => {
                    (begun, since) = (false, Instant::now());
                    if let Some(rest) = &self.rest {
                        rest.begins(|| since);
                    }
                    if !self.socket.ahead().is_empty() {
                        // Who has asked again already is one client among others.
                        tokio::task::yield_now().await;
                    }
                }
                After::Close => break,
                After::Linger => return closing::linger(&self.socket).await,
                After::Cut => return,
            }
        }
        // Also where nothing was answered: a request that is on its way finds an end, and no reset.
        closing::close(&self.socket).await;
    }

    /// The next request's head, or why what came is none.
    async fn head(&self, begun: bool, since: Instant) -> Result<Result<Head, Kind>, Ended> {
        let (mut head_timeout, limits) = self.head_timeout(begun, since);
        let mut grace = Grace::default();
        let mut search = Search::default();
        std::future::poll_fn(|cx| {
            loop {
                match self.socket.take_ahead(|ahead| {
                    // A copy of its own: values of it may live on in the upstream connection's
                    // header table, and would keep the body's first bytes with them.
                    search.find(ahead, limits).map(|found| {
                        found.map(|length| {
                            let block = Bytes::copy_from_slice(&ahead[..length]);
                            ahead.advance(length);
                            block
                        })
                    })
                }) {
                    Ok(Some(block)) => return Poll::Ready(Ok(parse(&block, limits))),
                    Err(kind) => return Poll::Ready(Ok(Err(kind))),
                    Ok(None) => {}
                }
                match self.socket.poll_more(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Ended::Gone)),
                    Poll::Ready(Ok(_)) => {}
                }
            }
            let begun = !self.socket.ahead().is_empty();
            match self.told.get() {
                _ if begun => self.wakes(),
                Told::Stay | Told::Last => {}
                Told::Soon if grace.poll(cx, since).is_pending() => {}
                Told::Soon | Told::Now => return Poll::Ready(Err(Ended::Leave)),
                Told::Room => return Poll::Ready(Err(Ended::Gone)),
            }
            head_timeout.poll(cx, begun).map(|expired| match expired {
                Expired::Head if begun => Ok(Err(Kind::HeadSlow)),
                Expired::Head | Expired::Idle => {
                    self.acceptor.recorder().hung_up(Hangup::Idle);
                    Err(Ended::Leave)
                }
            })
        })
        .await
    }

    /// Taken out of the configuration: a connection that waits must not keep an old one alive.
    fn head_timeout(&self, begun: bool, since: Instant) -> (HeadTimeout, Limits) {
        let proxy = self.acceptor.proxy();
        let (client, limits) = (&proxy.config.client, &proxy.config.limits);
        let head_timeout = HeadTimeout::new(client.head, client.idle, begun, since);
        (head_timeout, Limits { bytes: limits.header_bytes, headers: limits.headers })
    }

    async fn answer(&self, head: Head) -> After {
        let Head { parts, framing, keep_alive, expects, trailers } = head;
        let form = ResponseForm {
            version: parts.version,
            head_only: parts.method == Method::HEAD,
            trailers,
        };
        self.client.hints.begin(parts.version == Version::HTTP_11);
        let (intake, body) = Intake::new(self.socket.clone(), framing, expects);
        let stays = keep_alive && framing != Framing::Unclear;
        let answer = {
            // In a box of its own, which is gone once the answer begins: the connection would
            // otherwise keep the room for it while a stream runs for minutes.
            let request = Request::from_parts(parts, RequestBody::Http1(body));
            let proxy = self.acceptor.proxy();
            let mut serving = Box::pin(proxy.serve(&self.client, request));
            let mut socket = self.socket.clone();
            std::future::poll_fn(|cx| {
                let polled = serving.as_mut().poll(cx);
                // Not while the client waits to be told to send its body, nor in the middle of that.
                if polled.is_pending() && intake.has_said_all() {
                    self.client.hints.poll_write(&mut socket, cx);
                }
                polled
            })
            .await
        };
        let stays = stays && intake.may_end();
        let first = [intake.interim_begun(), &self.client.hints.end()].concat();
        let after = self.send(answer, form, stays, &first).await;
        match after {
            After::Stay => {}
            After::Close if !intake.is_end() => return After::Linger,
            _ => return after,
        }
        match std::future::poll_fn(|cx| intake.poll_taken(cx)).await {
            Taken::Whole if self.told.get() > Told::Stay => After::Close,
            Taken::Whole => After::Stay,
            Taken::InPart => After::Linger,
        }
    }

    /// Answers what was no request, or none that can be read.
    async fn turn_away(&self, kind: Kind) -> After {
        let answer = self.acceptor.proxy().turn_away(&self.client, kind);
        let form = ResponseForm { version: Version::HTTP_11, head_only: false, trailers: false };
        match self.send(answer, form, false, b"").await {
            After::Cut => After::Cut,
            _ => After::Linger,
        }
    }

    async fn send(
        &self,
        answer: Response<RelayBody>,
        form: ResponseForm,
        stays: bool,
        first: &[u8],
    ) -> After {
        let closes = answer.headers().get(CONNECTION).is_some_and(|value| value == "close");
        let persistence = match form.version {
            _ if !stays || closes || self.told.get() > Told::Stay => Persistence::Close,
            Version::HTTP_10 => Persistence::KeepAlive,
            _ => Persistence::Implied,
        };
        let mut writer = ResponseWriter::new(answer, form, persistence, first);
        let until_close = writer.is_until_close();
        if until_close {
            // Whatever ends this early (the body, a stall, a drain's deadline, a panic) must not look
            // like the answer's end.
            self.socket.abort_on_close(true);
        }
        let mut socket = self.socket.clone();
        if std::future::poll_fn(|cx| writer.poll(cx, &mut socket)).await.is_err() {
            return After::Cut;
        }
        if until_close {
            self.socket.abort_on_close(false);
        }
        if until_close || persistence == Persistence::Close { After::Close } else { After::Stay }
    }
}

impl From<Stage> for Told {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Serve => Self::Stay,
            Stage::LameDuck => Self::Last,
            Stage::Drain => Self::Soon,
        }
    }
}
