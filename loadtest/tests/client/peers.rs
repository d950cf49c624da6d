//! Two tiny peers: HTTP/1.1 that says given bytes, HTTP/2 that acts by path.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, header::CONTENT_TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Says one list of pieces per request, 20 ms between pieces, then closes unless it is to go on.
pub(crate) struct Http1Peer {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<String>>>,
    told: Arc<tokio::sync::Notify>,
}

impl Http1Peer {
    /// Closes once all that was to be said is said, or a request is answered with nothing.
    pub(crate) async fn start(answers: Vec<Vec<String>>) -> Self {
        Self::serve(answers, false).await
    }

    /// Stays silent, and open, after the last answer.
    pub(crate) async fn start_open(answers: Vec<Vec<String>>) -> Self {
        Self::serve(answers, true).await
    }

    async fn serve(answers: Vec<Vec<String>>, stay: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (heard, told) = (Arc::<Mutex<Vec<String>>>::default(), Arc::default());
        let peer = Self { url, heard: heard.clone(), told: Arc::clone(&told) };
        tokio::spawn(async move {
            let mut answers = answers.into_iter();
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                socket.set_nodelay(true).unwrap();
                while let Some(request) = read_request(&mut socket).await {
                    heard.lock().unwrap().push(request);
                    told.notify_one();
                    let Some(answer) = answers.next() else { return };
                    for piece in answer {
                        socket.write_all(piece.as_bytes()).await.unwrap();
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    if answers.len() == 0 {
                        if stay {
                            std::future::pending::<()>().await;
                        }
                        break;
                    }
                }
            }
        });
        peer
    }

    /// The `nth` request, head and body, once it has come.
    pub(crate) async fn heard(&self, nth: usize) -> String {
        loop {
            if let Some(request) = self.heard.lock().unwrap().get(nth) {
                return request.clone();
            }
            self.told.notified().await;
        }
    }
}

/// A request with a `content-length` body, or `None` once the client has closed.
async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some(end) = text.find("\r\n\r\n") else { continue };
        let length = text[..end]
            .split("\r\n")
            .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())
            .unwrap_or(0);
        if bytes.len() >= end + 4 + length {
            return Some(text.into_owned());
        }
    }
}

/// Answers `/cut` with a reset mid-stream, `/refuse` with a reset at once, `/length` with the
/// body's length, all else with two events.
pub(crate) async fn http2_peer() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(answer(request, respond));
                }
            });
        }
    });
    url
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
) {
    let path = request.uri().path().to_owned();
    if path == "/refuse" {
        return respond.send_reset(h2::Reason::REFUSED_STREAM);
    }
    let mut body = request.into_body();
    let mut length = 0;
    while let Some(Ok(part)) = body.data().await {
        length += part.len();
        body.flow_control().release_capacity(part.len()).unwrap();
    }
    let kind = if path == "/length" { "text/plain" } else { "text/event-stream" };
    let head = Response::builder().header(CONTENT_TYPE, kind).body(()).unwrap();
    let mut stream = respond.send_response(head, false).unwrap();
    if path == "/length" {
        return stream.send_data(length.to_string().into(), true).unwrap();
    }
    stream.send_data("data: 1\n\n".into(), false).unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    if path == "/cut" {
        return stream.send_reset(h2::Reason::INTERNAL_ERROR);
    }
    stream.send_data("data: [DONE]\n\n".into(), true).unwrap();
}
