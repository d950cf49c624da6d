//! What is sent through the proxy, and the proxy that it is sent through.

use std::env::VarError;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::yield_now;
use std::time::Duration;

use criterion::Throughput;
use firstbyte::config::{AccessLog, Config, Env, from_env};
use firstbyte::runtime::{Running, start};
use scripted::client::{Client, Speech};
use scripted::texts;
use scripted::upstream::Upstream;

/// The most that one DATA frame of HTTP/2 holds unless the peers agree on more.
const LARGEST: usize = 16 * 1024;

/// Longer than any bench.
const NEVER: Duration = Duration::from_secs(86_400);

/// What one round sends down: so many frames of so many bytes on each of so many streams.
#[derive(Clone)]
pub(crate) struct Case {
    speech: Speech,
    streams: usize,
    together: usize,
    bytes: usize,
}

impl Default for Case {
    fn default() -> Self {
        Self { speech: Speech::Http1, streams: 1, together: 1, bytes: texts::token().len() }
    }
}

impl Case {
    /// What the clients speak.
    pub(crate) fn speech(self, speech: Speech) -> Self {
        Self { speech, ..self }
    }

    /// Streams, each of a client with a connection of its own, all on one connection upstream.
    pub(crate) fn streams(self, streams: usize) -> Self {
        Self { streams, ..self }
    }

    /// Frames of a stream that are ready together.
    pub(crate) fn together(self, together: usize) -> Self {
        Self { together, ..self }
    }

    /// A frame's size; more than HTTP/2's 16 KiB goes in as many DATA frames as it takes.
    pub(crate) fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }
}

/// A proxy between peers that are ready to go.
pub(crate) struct Rig {
    case: Case,
    upstream: Upstream,
    clients: Vec<Client>,
    streams: Vec<u32>,
    frame: Vec<u8>,
    rounds: u64,
    _proxy: Running,
}

/// Rounds after which the upstream reads what the proxy gives it credit by; unread, it would fill the
/// socket in the end.
const LOOK: u64 = 256;

impl Rig {
    /// Starts both ends and waits until the proxy is warm.
    pub(crate) fn start(case: &Case) -> Self {
        let mut upstream = Upstream::listen().expect("a port");
        let proxy = start(configure(&upstream)).expect("the proxy starts");
        while !proxy.is_ready() {
            upstream.asked().expect("the proxy connects");
            yield_now();
        }
        let connect = |_| Client::connect(case.speech, proxy.addresses()[0]);
        let clients = (0..case.streams).map(connect).collect::<io::Result<_>>();
        let frame = if case.bytes == 200 { texts::token() } else { vec![b'x'; case.bytes] };
        Self {
            case: case.clone(),
            upstream,
            clients: clients.expect("the proxy listens"),
            streams: Vec::new(),
            frame,
            rounds: 0,
            _proxy: proxy,
        }
    }

    /// What one round moves.
    pub(crate) fn throughput(&self) -> Throughput {
        if self.case.bytes > LARGEST {
            Throughput::Bytes((self.case.bytes * self.case.together) as u64)
        } else {
            Throughput::Elements((self.case.streams * self.case.together) as u64)
        }
    }

    /// A whole request: 1 KiB up; a head, one frame and the end down.
    pub(crate) fn request(&mut self) {
        let client = &mut self.clients[0];
        client.ask().expect("the proxy reads");
        let stream = self.upstream.wait_asked().expect("the request goes up");
        self.upstream.head(stream).expect("the head goes down");
        self.upstream.data(&[stream], &[texts::DONE], true).expect("the frame goes down");
        client.wait(|answer| answer.ended).expect("the answer comes");
    }

    /// Opens every client's stream, to be left open.
    pub(crate) fn open(&mut self) {
        for client in &mut self.clients {
            client.ask().expect("the proxy reads");
            let stream = self.upstream.wait_asked().expect("the request goes up");
            self.upstream.head(stream).expect("the head goes down");
            client.wait(|answer| answer.begun).expect("the head comes");
            self.streams.push(stream);
        }
    }

    /// One round of frames: all sent in one turn, then each client has its own.
    pub(crate) fn frames(&mut self) {
        let parts: Vec<&[u8]> =
            (0..self.case.together).flat_map(|_| self.frame.chunks(LARGEST)).collect();
        self.upstream.data(&self.streams, &parts, false).expect("the frames go down");
        let whole = self.frame.len() * self.case.together;
        for client in &mut self.clients {
            client.wait(|answer| answer.body.len() >= whole).expect("the frames come");
            client.forget_body();
        }
        self.rounds += 1;
        if self.rounds.is_multiple_of(LOOK) {
            self.upstream.asked().expect("the proxy is there");
        }
    }
}

struct Variables(String);

impl Env for Variables {
    fn var(&self, name: &str) -> Result<String, VarError> {
        match name {
            "OPENAI_API_KEY" => Ok("sk-bench".to_owned()),
            "OPENAI_BASE_URL" => Ok(self.0.clone()),
            _ => Err(VarError::NotPresent),
        }
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
}

/// The defaults, but for one connection upstream that all streams share and that is never replaced.
fn configure(upstream: &Upstream) -> Config {
    let port = upstream.address().expect("an address").port();
    let variables = Variables(format!("https://127.0.0.1:{port}/v1"));
    let mut config = from_env(&variables).expect("a configuration");
    let authority = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("authority-{port}.pem"));
    std::fs::write(&authority, upstream.ca_pem()).expect("a scratch folder");
    config.listen = vec![std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()];
    config.admin = None;
    config.workers = std::num::NonZeroUsize::MIN;
    config.access_log = AccessLog::File(PathBuf::from("/dev/null"));
    let to = &mut config.upstreams[0];
    to.ca_file = Some(authority);
    to.pool.min_connections = 1;
    to.pool.max_connections = 1;
    to.pool.streams_per_connection = 128;
    to.pool.max_requests = u64::MAX;
    to.pool.max_age = NEVER;
    to.pool.ping_interval = NEVER;
    // Our upstream doesn't watch its credit: there has to be enough for a frame of 64 KiB.
    to.pool.stream_window = 1024 * 1024;
    config
}
