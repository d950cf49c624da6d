//! The proxy on this thread, between two peers that move only when told. It gets turns; what it executes
//! in those that count is what callgrind counts.

use std::env::VarError;
use std::error::Error;
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::park_timeout;
use std::time::Duration;

use firstbyte::config::{AccessLog, Config, Env, from_env};
use firstbyte::config::{Allowance, Amount, Budget, Client, KeyDigest, Period};
use firstbyte::runtime::{Running, start_here};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

use scripted::client::{Answer, Client as Peer, Speech};
use scripted::texts;
use scripted::upstream::Upstream;

/// Turns after which something that has not happened never will. Each looks at the sockets once, so
/// that this is no measure of time but of what the kernel may hold back.
const MOST_TURNS: u32 = 100_000;

/// Longer than any run: nothing may come of a clock.
const NEVER: Duration = Duration::from_secs(86_400);

/// Whether a turn counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Yes,
    No,
}

/// Whether the proxy asks who its clients are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knows {
    Nobody,
    /// By their keys. The one that asks has every kind of limit, so high that none refuses.
    Clients,
}

pub(crate) struct Rig {
    runtime: LocalRuntime,
    proxy: Running,
    pub(crate) upstream: Upstream,
    counted: u64,
}

struct Variables {
    base_url: String,
}

impl Env for Variables {
    fn var(&self, name: &str) -> Result<String, VarError> {
        match name {
            "OPENAI_API_KEY" => Ok("sk-proj-9876543210987654321098765432109876543210".to_owned()),
            "OPENAI_BASE_URL" => Ok(self.base_url.clone()),
            _ => Err(VarError::NotPresent),
        }
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
}

impl Rig {
    /// A proxy with its defaults and one warm connection, ready to serve.
    pub(crate) fn start(knows: Knows) -> Result<Self, Box<dyn Error>> {
        // glibc's calls into the kernel are shorter in a process that never had a second thread: ours always has.
        let _joined = std::thread::spawn(|| {}).join();
        let upstream = Upstream::listen()?;
        let authority = Scratch::write(upstream.ca_pem())?;
        let port = upstream.address()?.port();
        let variables = Variables { base_url: format!("https://127.0.0.1:{port}/v1") };
        let mut config = configure(&variables, &authority.0)?;
        if knows == Knows::Clients {
            config.clients = Some(vec![client()]);
        }
        let (proxy, worker) = start_here(config)?;
        let runtime =
            Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
        runtime.spawn_local(worker);
        let mut rig = Self { runtime, proxy, upstream, counted: 0 };
        rig.until(Count::No, |rig| {
            rig.upstream.asked()?;
            Ok(rig.proxy.is_ready())
        })?;
        Ok(rig)
    }

    pub(crate) fn connect(&mut self, speech: Speech) -> io::Result<Peer> {
        let address = self.proxy.addresses().first().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Peer::connect(speech, *address)
    }

    /// Gives the proxy turns until `there`; the peers look after each.
    pub(crate) fn until(
        &mut self,
        count: Count,
        mut there: impl FnMut(&mut Self) -> io::Result<bool>,
    ) -> io::Result<()> {
        for _ in 0..MOST_TURNS {
            self.turn(count);
            if there(self)? {
                return Ok(());
            }
        }
        Err(io::Error::other(format!("waited in vain: {:?}", self.upstream)))
    }

    pub(crate) fn turn(&mut self, count: Count) {
        match count {
            Count::Yes => {
                self.counted += 1;
                counted_turn(&self.runtime);
            }
            Count::No => turn(&self.runtime),
        }
    }

    /// Does something while between any two tasks of the proxy there may be one that takes `time`.
    pub(crate) fn slowed<T>(&mut self, time: Duration, work: impl FnOnce(&mut Self) -> T) -> T {
        let sluggard = self.runtime.spawn_local(async move {
            loop {
                park_timeout(time);
                tokio::task::yield_now().await;
            }
        });
        let done = work(self);
        sluggard.abort();
        self.turn(Count::No);
        done
    }

    /// The turns that counted.
    pub(crate) fn turns(&self) -> u64 {
        self.counted
    }

    /// Until a request has reached the upstream: its stream.
    pub(crate) fn asked(&mut self, count: Count) -> io::Result<u32> {
        let mut stream = None;
        self.until(count, |rig| {
            stream = rig.upstream.asked()?;
            Ok(stream.is_some())
        })?;
        stream.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Until the client's answer is as wanted.
    pub(crate) fn answered(
        &mut self,
        count: Count,
        client: &mut Peer,
        wanted: impl Fn(&Answer) -> bool,
    ) -> io::Result<()> {
        self.until(count, |_| client.answer().map(&wanted))
    }
}

/// callgrind counts from this function's call to its return (`--toggle-collect`), and nothing else.
#[inline(never)]
fn counted_turn(runtime: &LocalRuntime) {
    turn(runtime);
    // Were the call above the last thing here, it would be a jump, and this function seem to have ended.
    black_box(());
}

/// A look at the sockets without waiting, what is ready runs, and another look.
fn turn(runtime: &LocalRuntime) {
    runtime.block_on(async {
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    });
}

fn configure(variables: &Variables, authority: &Path) -> Result<Config, Box<dyn Error>> {
    let mut config = from_env(variables)?;
    config.listen = vec![std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()];
    config.admin = None;
    // Its batches leave by the clock, and how far one grew by then costs more than the gate's limit.
    config.access_log = AccessLog::Off;
    let upstream = config.upstreams.first_mut().ok_or("no upstream")?;
    upstream.ca_file = Some(authority.to_owned());
    upstream.pool.min_connections = 1;
    upstream.pool.max_connections = 1;
    upstream.pool.max_requests = u64::MAX;
    upstream.pool.max_age = NEVER;
    Ok(config)
}

fn client() -> Client {
    const MOST: u64 = 1_000_000_000;
    let budget = Budget { amount: Amount::Tokens(MOST * 1_000), per: Period::Month };
    let allowance = Allowance {
        rpm: Some(MOST),
        tpm: Some(MOST),
        concurrent: Some(1_000),
        burst: Duration::from_secs(60),
        budgets: vec![budget],
    };
    Client { keys: vec![KeyDigest::of(texts::KEY.as_bytes())], allowance, ..Client::named("app") }
}

/// A file that is gone when it is not needed any more.
struct Scratch(PathBuf);

impl Scratch {
    fn write(text: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("firstbyte-{}.pem", std::process::id()));
        std::fs::write(&path, text)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing secret is in it; what cannot be removed stays in the system's scratch folder.
        let _removed = std::fs::remove_file(&self.0);
    }
}
