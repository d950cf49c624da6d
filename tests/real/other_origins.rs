//! Origins on other libraries: hyper's own server, and Node's. Each answers every request with the same frames,
//! two milliseconds apart.

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use hyper::{Request, Response, server};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::Sleep;

use crate::support::installed::installed;
use crate::support::program::Guarded;

/// Frames of each answer.
const FRAMES: usize = 8;
const PACE: Duration = Duration::from_millis(2);

/// A server of hyper's, in this process until it ends.
pub(crate) struct Hyper {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicU64>,
}

impl Hyper {
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// HTTP/2 in clear. `takes`: the head that it announces to take, where it is to be told.
pub(crate) fn hyper(takes: Option<u32>, frame: &'static str) -> Hyper {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("it can be");
    let address = listener.local_addr().expect("an address");
    let requests = Arc::<AtomicU64>::default();
    let counted = Arc::clone(&requests);
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        while let Ok((socket, _)) = listener.accept().await {
            let mut builder = server::conn::http2::Builder::new(TokioExecutor::new());
            if let Some(takes) = takes {
                builder.max_header_list_size(takes);
            }
            let counted = Arc::clone(&counted);
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                counted.fetch_add(1, Ordering::Relaxed);
                let body = Frames { left: FRAMES, frame, pause: None, _request: request };
                std::future::ready(Ok::<_, Infallible>(Response::new(body)))
            });
            let connection = builder.serve_connection(TokioIo::new(socket), service);
            tokio::spawn(async move {
                // How it ends shows in its streams.
                let _ended = connection.await;
            });
        }
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(serve);
    });
    Hyper { address, requests }
}

/// What every origin here answers with.
pub(crate) fn expected(frame: &str) -> String {
    frame.repeat(FRAMES)
}

struct Frames {
    left: usize,
    frame: &'static str,
    pause: Option<Pin<Box<Sleep>>>,
    /// Not dropped before the answer ends, so that the upload is not reset.
    _request: Request<Incoming>,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(PACE)));
        ready!(pause.as_mut().poll(cx));
        self.pause = None;
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(self.frame.as_bytes())))))
    }
}

/// Node's HTTP/2 server in clear, which ends with its standard input. `None`, said loudly, where the machine
/// does not have it.
pub(crate) fn node(frame: &str) -> Option<(Guarded, SocketAddr)> {
    let program = installed("node")?;
    let script = format!(
        "const server = require('http2').createServer();
         server.on('sessionError', () => {{}});
         server.on('stream', (stream) => {{
           stream.on('error', () => {{}});
           stream.resume();
           stream.respond({{ ':status': 200 }});
           let left = {FRAMES};
           const timer = setInterval(() => {{
             if (stream.destroyed) return clearInterval(timer);
             if (left-- > 0) return stream.write({frame:?});
             clearInterval(timer);
             stream.end();
           }}, {pace});
         }});
         process.stdin.on('end', () => process.exit()).resume();
         server.listen(0, '127.0.0.1', () => console.log(server.address().port));",
        pace = PACE.as_millis(),
    );
    let mut command = Command::new(program);
    command.arg("-e").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = Guarded(command.stderr(Stdio::null()).spawn().expect("it starts"));
    let mut port = String::new();
    let said = node.0.stdout.take().expect("its output");
    BufReader::new(said).read_line(&mut port).expect("its port");
    let port = port.trim().parse::<u16>().expect("a port");
    Some((node, ([127, 0, 0, 1], port).into()))
}
