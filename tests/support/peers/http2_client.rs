//! An HTTP/2 client with prior knowledge, step by step.

use std::future::poll_fn;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tokio::runtime::{Builder, Runtime};

use crate::support::fixture::PATIENCE;
use crate::support::message::{Answer, Ask, Length};

/// Larger than any answer that is not read on.
const WINDOW: u32 = 16 * 1024 * 1024;

/// One connection with a runtime of its own; it goes on only while it is asked for something.
pub(crate) struct Http2 {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
    /// Our end of the connection.
    pub(crate) local: SocketAddr,
}

/// A request under way.
pub(crate) struct Stream {
    sending: SendStream<Bytes>,
    answering: Option<ResponseFuture>,
    body: Option<RecvStream>,
}

impl Http2 {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (sender, local) = runtime.block_on(async {
            let socket = tokio::net::TcpStream::connect(address).await.expect("the proxy listens");
            socket.set_nodelay(true).expect("nodelay can be set");
            let local = socket.local_addr().expect("an address");
            let (sender, connection) = h2::client::Builder::new()
                .initial_window_size(WINDOW)
                .initial_connection_window_size(WINDOW)
                .handshake(socket)
                .await
                .expect("HTTP/2 begins");
            tokio::spawn(async move {
                // Its streams tell how it ended.
                let _ended = connection.await;
            });
            (sender, local)
        });
        Self { runtime, sender, local }
    }

    /// One request and its answer.
    pub(crate) fn ask(&mut self, ask: &Ask) -> Answer {
        let mut stream = self.send_head(ask);
        for piece in &ask.pieces {
            self.send_piece(&mut stream, piece);
        }
        self.send_end(&mut stream, ask);
        self.answer(&mut stream)
    }

    pub(crate) fn send_head(&mut self, ask: &Ask) -> Stream {
        let mut request = Request::builder()
            .method(ask.method.as_str())
            .uri(format!("http://localhost{}", ask.target));
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if ask.length == Length::Known {
            request = request.header("content-length", ask.body_len());
        }
        let request = request.body(()).expect("a request");
        let ended = ask.length == Length::None;
        let sender = self.sender.clone();
        let (answering, sending) = self.within(async {
            sender.ready().await.expect("a stream").send_request(request, ended).expect("is sent")
        });
        Stream { sending, answering: Some(answering), body: None }
    }

    pub(crate) fn send_piece(&self, stream: &mut Stream, piece: &Bytes) {
        let mut left = piece.clone();
        self.within(async {
            while !left.is_empty() {
                stream.sending.reserve_capacity(left.len());
                let room = poll_fn(|cx| stream.sending.poll_capacity(cx)).await;
                // The proxy may have answered already and want no more.
                let Some(Ok(room)) = room else { return };
                let part = left.split_to(room.min(left.len()));
                if stream.sending.send_data(part, false).is_err() {
                    return;
                }
            }
            tokio::task::yield_now().await;
        });
    }

    pub(crate) fn send_end(&self, stream: &mut Stream, ask: &Ask) {
        let _within = self.runtime.enter();
        // Fails where the proxy has answered already and wants no more.
        let _sent = if !ask.trailers.is_empty() {
            stream.sending.send_trailers(map(&ask.trailers))
        } else if ask.length != Length::None {
            stream.sending.send_data(Bytes::new(), true)
        } else {
            Ok(())
        };
    }

    /// The answer to its end.
    pub(crate) fn answer(&self, stream: &mut Stream) -> Answer {
        let mut answer = self.head(stream);
        while let Some(piece) = self.piece(stream, &mut answer) {
            answer.pieces.push(piece);
        }
        answer
    }

    /// The answer's final head.
    pub(crate) fn head(&self, stream: &mut Stream) -> Answer {
        let answering = stream.answering.take().expect("one head");
        let answer = self.within(answering).expect("a head");
        let (parts, body) = answer.into_parts();
        stream.body = Some(body);
        let (status, headers) = (parts.status.as_u16(), lines(&parts.headers));
        Answer { status, headers, ..Answer::default() }
    }

    /// The body's next DATA frame that is not empty; `None` is its clean end, with which trailers
    /// come.
    pub(crate) fn piece(&self, stream: &mut Stream, answer: &mut Answer) -> Option<Bytes> {
        let body = stream.body.as_mut().expect("the head came");
        self.within(async {
            while let Some(piece) = body.data().await {
                let piece = piece.expect("a clean end");
                let _ended = body.flow_control().release_capacity(piece.len());
                if !piece.is_empty() {
                    return Some(piece);
                }
            }
            let trailers = body.trailers().await.expect("a clean end");
            answer.trailers = trailers.as_ref().map(lines).unwrap_or_default();
            None
        })
    }

    /// Whether the frame read last was marked as the end.
    pub(crate) fn is_end(stream: &Stream) -> bool {
        stream.body.as_ref().expect("the head came").is_end_stream()
    }

    fn within<T>(&self, what: impl Future<Output = T>) -> T {
        let bound = async { tokio::time::timeout(PATIENCE, what).await };
        self.runtime.block_on(bound).expect("the proxy answers in time")
    }

    /// Lets the connection write what is queued and answer what came.
    pub(crate) fn turn(&self) {
        self.within(tokio::task::yield_now());
    }
}

fn map(lines: &[(String, String)]) -> HeaderMap {
    let line = |(name, value): &(String, String)| {
        let name = HeaderName::try_from(name.as_str()).expect("a name");
        (name, HeaderValue::try_from(value.as_str()).expect("a value"))
    };
    lines.iter().map(line).collect()
}

fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}
