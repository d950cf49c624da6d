//! hyper's HTTP/2 client against the `h2` crate itself, in the part that the relay would play: one
//! request with a body, an answer of a head and `FRAMES` small frames, each read as it comes. Both
//! talk to the same `h2` server over an in-memory pipe, on one current-thread runtime.
//!
//! `cargo bench --bench upstream_client` gives times; `-- --count` prints how often each side's
//! tasks are polled per request, which repeats exactly.

use std::cell::Cell;
use std::error::Error;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group};
use http_body_util::Full;
use hyper::body::Body;
use hyper::rt::Executor;
use tokio::io::DuplexStream;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::Notify;

/// Frames in an answer: as many as a short chat completion has tokens.
const FRAMES: usize = 32;

/// One frame: the size of a chat completion chunk of one token.
static FRAME: Bytes = Bytes::from_static(&[b'x'; 200]);

static PROMPT: Bytes = Bytes::from_static(&[b'p'; 1024]);

type Polls = Rc<Cell<u64>>;

/// Counts the polls of a task.
async fn counted<F: Future>(polls: Polls, task: F) -> F::Output {
    let mut task = pin!(task);
    std::future::poll_fn(|cx| {
        polls.set(polls.get() + 1);
        task.as_mut().poll(cx)
    })
    .await
}

/// Answers every request with `FRAMES` frames, each sent when `go` says so: so that each is read
/// by itself, as tokens are.
async fn serve(io: DuplexStream, go: Rc<Notify>) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(io).await?;
    while let Some(accepted) = connection.accept().await {
        let (mut request, mut answer) = accepted?;
        let go = Rc::clone(&go);
        tokio::task::spawn_local(async move {
            while let Some(Ok(data)) = request.body_mut().data().await {
                let _released = request.body_mut().flow_control().release_capacity(data.len());
            }
            let Ok(mut body) = answer.send_response(http::Response::new(()), false) else { return };
            for left in (0..FRAMES).rev() {
                if body.send_data(FRAME.clone(), left == 0).is_err() {
                    return;
                }
                if left > 0 {
                    go.notified().await;
                }
            }
        });
    }
    Ok(())
}

fn request<B>(body: B) -> http::Request<B> {
    let mut request = http::Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static("https://api.example/v1/chat/completions");
    request
}

#[derive(Clone)]
struct Local(Polls);

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(counted(Rc::clone(&self.0), async move {
            task.await;
        }));
    }
}

struct Hyper {
    sender: hyper::client::conn::http2::SendRequest<Full<Bytes>>,
    go: Rc<Notify>,
}

impl Hyper {
    async fn connect(io: DuplexStream, go: Rc<Notify>, polls: &Polls) -> hyper::Result<Self> {
        let (sender, connection) =
            hyper::client::conn::http2::Builder::new(Local(Rc::clone(polls)))
                .handshake(hyper_util::rt::TokioIo::new(io))
                .await?;
        tokio::task::spawn_local(counted(Rc::clone(polls), connection));
        Ok(Self { sender, go })
    }

    async fn ask(&mut self) -> usize {
        let Ok(answer) = self.sender.send_request(request(Full::new(PROMPT.clone()))).await else {
            return 0;
        };
        let mut body = answer.into_body();
        let mut bytes = 0;
        while let Some(Ok(frame)) =
            std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
        {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            self.go.notify_one();
        }
        bytes
    }
}

struct Direct {
    sender: h2::client::SendRequest<Bytes>,
    go: Rc<Notify>,
}

impl Direct {
    async fn connect(io: DuplexStream, go: Rc<Notify>, polls: &Polls) -> Result<Self, h2::Error> {
        let (sender, connection) = h2::client::handshake(io).await?;
        tokio::task::spawn_local(counted(Rc::clone(polls), connection));
        Ok(Self { sender, go })
    }

    async fn ask(&mut self) -> usize {
        let Ok((response, mut sink)) = self.sender.send_request(request(()), false) else {
            return 0;
        };
        if sink.send_data(PROMPT.clone(), true).is_err() {
            return 0;
        }
        let Ok(answer) = response.await else { return 0 };
        let mut body = answer.into_body();
        let mut bytes = 0;
        while let Some(Ok(data)) = body.data().await {
            bytes += data.len();
            let _released = body.flow_control().release_capacity(data.len());
            self.go.notify_one();
        }
        bytes
    }
}

enum Client {
    Hyper(Hyper),
    Direct(Direct),
}

impl Client {
    async fn ask(&mut self) -> usize {
        match self {
            Self::Hyper(client) => client.ask().await,
            Self::Direct(client) => client.ask().await,
        }
    }
}

fn start(name: &str) -> Result<(LocalRuntime, Client, Polls), Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let polls = Polls::default();
    let client = runtime.block_on(async {
        let (near, far) = tokio::io::duplex(256 * 1024);
        let go = Rc::new(Notify::new());
        tokio::task::spawn_local(serve(far, Rc::clone(&go)));
        Ok::<_, Box<dyn Error>>(if name == "hyper" {
            Client::Hyper(Hyper::connect(near, go, &polls).await?)
        } else {
            Client::Direct(Direct::connect(near, go, &polls).await?)
        })
    })?;
    Ok((runtime, client, polls))
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("upstream_client");
    for name in ["hyper", "h2"] {
        let Ok((runtime, mut client, _polls)) = start(name) else { continue };
        assert_eq!(runtime.block_on(client.ask()), FRAMES * FRAME.len());
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(client.ask()));
        });
    }
    group.finish();
}

fn count() -> Result<(), Box<dyn Error>> {
    const REQUESTS: u64 = 1000;
    for name in ["hyper", "h2"] {
        let (runtime, mut client, polls) = start(name)?;
        runtime.block_on(client.ask());
        polls.set(0);
        runtime.block_on(async {
            for _ in 0..REQUESTS {
                client.ask().await;
            }
        });
        println!(
            "{name}: {:.2} polls of the client's own tasks per request of {FRAMES} frames",
            polls.get() as f64 / REQUESTS as f64
        );
    }
    Ok(())
}

criterion_group!(benches, bench);

fn main() -> Result<(), Box<dyn Error>> {
    // `--solo NAME N` runs one of the two N times and nothing else: for callgrind.
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|a| a == "--solo") {
        let (runtime, mut client, _polls) = start(arguments.get(at + 1).map_or("h2", |n| n))?;
        let times = arguments.get(at + 2).and_then(|n| n.parse().ok()).unwrap_or(1);
        for _ in 0..times {
            runtime.block_on(client.ask());
        }
        return Ok(());
    }
    if arguments.iter().any(|a| a == "--count") {
        return count();
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
    Ok(())
}
