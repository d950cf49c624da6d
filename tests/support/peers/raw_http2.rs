//! An HTTP/2 client on the `h2` crate, which neither retries nor hides anything.

use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::Request;

use crate::support::fixture::PATIENCE;

/// An answer as far as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Why it was cut; `None` if it ended.
    pub(crate) cut: Option<Reason>,
}

/// A connection that a task drives until its last handle is dropped.
#[derive(Clone)]
pub(crate) struct Client(SendRequest<Bytes>);

/// Runs a client's side to its end.
pub(crate) fn block_on<F: Future>(client: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE * 3, client).await.expect("it does not hang")
    })
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::windowed(address, 1024 * 1024).await
    }

    /// With this window for each stream.
    pub(crate) async fn windowed(address: SocketAddr, window: u32) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await.expect("the proxy listens");
        stream.set_nodelay(true).expect("nodelay can be set");
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(window)
            .initial_connection_window_size(16 * 1024 * 1024)
            .handshake(stream)
            .await
            .expect("the proxy speaks HTTP/2");
        tokio::spawn(async move {
            // How it ends shows in its streams.
            let _ended = connection.await;
        });
        Self(sender)
    }

    /// Sends a request with a body; `GET` where that is empty.
    pub(crate) async fn send(&self, path: &str, body: &[u8]) -> ResponseFuture {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let (answer, mut upload) = self.open(method, path, body.is_empty()).await;
        if !body.is_empty() {
            upload.send_data(Bytes::copy_from_slice(body), true).expect("the stream is open");
        }
        answer
    }

    /// Sends a request of whose body this is only the beginning.
    pub(crate) async fn begin(
        &self,
        path: &str,
        body: &[u8],
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let (answer, mut upload) = self.open("POST", path, false).await;
        upload.send_data(Bytes::copy_from_slice(body), false).expect("the stream is open");
        (answer, upload)
    }

    async fn open(
        &self,
        method: &str,
        path: &str,
        end: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut sender = self.0.clone().ready().await.expect("the connection is open");
        let request = Request::builder()
            .method(method)
            .uri(format!("http://proxy{path}"))
            .body(())
            .expect("a request");
        sender.send_request(request, end).expect("the connection is open")
    }

    /// Waits until it takes no new stream: the proxy said so, or it has ended.
    pub(crate) async fn closed(&self) {
        while self.0.clone().ready().await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    /// Gives the connection's task turns enough to write what was queued.
    pub(crate) async fn flushed(&self) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    /// Sends a request and reads its answer as far as it comes.
    pub(crate) async fn ask(&self, path: &str, body: &[u8]) -> Result<Answer, h2::Error> {
        let answer = self.send(path, body).await.await?;
        Ok(read(answer).await)
    }
}

/// Reads an answer as far as it comes.
pub(crate) async fn read(answer: http::Response<RecvStream>) -> Answer {
    let (head, mut stream) = answer.into_parts();
    let mut body = Vec::new();
    let cut = loop {
        match next(&mut stream).await {
            Ok(Some(data)) => body.extend_from_slice(&data),
            Ok(None) => break None,
            Err(error) => break Some(error.reason().unwrap_or(Reason::NO_ERROR)),
        }
    };
    Answer { status: head.status.as_u16(), body, cut }
}

/// The next bytes, whose window is opened again.
pub(crate) async fn next(stream: &mut RecvStream) -> Result<Option<Bytes>, h2::Error> {
    let Some(data) = stream.data().await.transpose()? else { return Ok(None) };
    stream.flow_control().release_capacity(data.len())?;
    Ok(Some(data))
}
