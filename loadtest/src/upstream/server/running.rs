//! An upstream that runs: where it is, what it saw, how it ends.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::thread::{CpuSet, Pid, gettid, sched_setaffinity};
use socket2::{Domain, Socket, Type};
use tokio::sync::mpsc;

use super::live::{Command, Frost, Live};
use super::{PanicSlot, Settings, Shared, serve};
use crate::upstream::clock::Clock;
use crate::upstream::log::recorder::Recorder;
use crate::upstream::log::{Log, RequestSeen};
use crate::upstream::wire::Cut;

/// Commands that may wait for a busy thread.
const COMMANDS: usize = 64;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// What [`Builder`] hands over.
pub(in crate::upstream) struct Plan {
    pub(in crate::upstream) settings: Settings,
    pub(in crate::upstream) ca_pem: Option<String>,
    pub(in crate::upstream) log: bool,
    pub(in crate::upstream) cpu: Option<usize>,
    pub(in crate::upstream) bind: SocketAddr,
}

/// A running upstream on a thread of its own. Dropping it stops it, closes its connections, and raises a panic
/// of its thread again.
pub struct Upstream {
    addr: SocketAddr,
    ca_pem: Option<String>,
    recorder: Arc<Recorder>,
    requests: Arc<AtomicU64>,
    thread_id: Pid,
    panic: PanicSlot,
    /// The thread ends when this is dropped.
    commands: Option<mpsc::Sender<Command>>,
    frost: Frost,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    pub(in crate::upstream) fn start(plan: Plan) -> io::Result<Self> {
        let listener = listen(plan.bind)?;
        let addr = listener.local_addr()?;
        let recorder = Arc::new(Recorder::new(plan.log));
        let requests = Arc::new(AtomicU64::new(0));
        let panic = PanicSlot::default();
        let (commands, orders) = mpsc::channel(COMMANDS);
        let frost = Frost::default();
        let (ready, started) = sync_channel(1);
        let shared = (recorder.clone(), requests.clone(), panic.clone(), frost.clone());
        let thread =
            std::thread::Builder::new().name("mock-upstream".to_owned()).spawn(move || {
                let begun = pin(plan.cpu).and_then(|()| {
                    tokio::runtime::Builder::new_current_thread().enable_all().build()
                });
                let runtime = match begun {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(ready.send(Err(error))),
                };
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, async move {
                    let prepared = Clock::new().and_then(|clock| {
                        Ok((clock, tokio::net::TcpListener::from_std(listener)?))
                    });
                    let (clock, listener) = match prepared {
                        Ok(prepared) => prepared,
                        Err(error) => return drop(ready.send(Err(error))),
                    };
                    let _ = ready.send(Ok(gettid()));
                    let (recorder, requests, panic, frost) = shared;
                    let live = Rc::<Live>::default();
                    let settings = plan.settings;
                    let shared = Shared { settings, recorder, clock, requests, panic, live, frost };
                    serve(Rc::new(shared), listener, orders).await;
                });
            })?;
        let thread_id = started
            .recv()
            .map_err(|_| io::Error::other("the mock upstream's thread panicked"))??;
        let (commands, thread, ca_pem) = (Some(commands), Some(thread), plan.ca_pem);
        Ok(Self { addr, ca_pem, recorder, requests, thread_id, panic, commands, frost, thread })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `https://localhost:PORT` or `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        match self.ca_pem {
            Some(_) if self.addr.ip().is_loopback() && self.addr.is_ipv4() => {
                format!("https://localhost:{}", self.addr.port())
            }
            Some(_) => format!("https://{}", self.addr),
            None => format!("http://{}", self.addr),
        }
    }

    /// The URL with `/v1`, as SDKs want it.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.url())
    }

    /// The authority that signed the certificate, in PEM; empty in clear.
    pub fn ca_pem(&self) -> &str {
        self.ca_pem.as_deref().unwrap_or_default()
    }

    /// Writes [`Upstream::ca_pem`] to a file.
    pub fn write_ca(&self, path: impl AsRef<Path>) -> io::Result<()> {
        std::fs::write(path, self.ca_pem())
    }

    /// Everything seen so far.
    pub fn log(&self) -> Log {
        self.recorder.snapshot()
    }

    /// How many requests have begun, also with the log off.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Blocks this thread until the log satisfies `predicate`; false if it did not within `timeout`. In async
    /// tests whose runtime also runs what is tested, use [`Upstream::seen`].
    pub fn wait_for(&self, predicate: impl FnMut(&Log) -> bool, timeout: Duration) -> bool {
        self.recorder.wait_for(timeout, predicate)
    }

    /// Waits until the log satisfies `predicate`; false if it did not within `timeout`. Needs a tokio timer.
    pub async fn seen(&self, predicate: impl FnMut(&Log) -> bool, timeout: Duration) -> bool {
        self.recorder.seen(timeout, predicate).await
    }

    /// Blocks until request `nth` was cancelled by the peer, and returns it; None if it was not within `timeout`.
    pub fn wait_for_cancel(&self, nth: u64, timeout: Duration) -> Option<RequestSeen> {
        let cancelled =
            |log: &Log| log.requests.get(nth as usize).is_some_and(RequestSeen::was_cancelled);
        let found = self.wait_for(cancelled, timeout);
        found.then(|| self.log().requests.get(nth as usize).cloned()).flatten()
    }

    /// Ends every connection that is open now, whether anything happens on it or not. New ones are accepted.
    pub fn cut_all(&self, how: Cut) {
        self.order(Command::Cut(how));
    }

    /// Retires every connection that is open now: HTTP/2 by a graceful GOAWAY, HTTP/1.1 by closing it if it is
    /// idle. Requests in flight finish.
    pub fn retire_all(&self) {
        self.order(Command::Retire);
    }

    /// Stops answering, as a stopped process does: the kernel still acknowledges and accepts connections.
    pub fn freeze(&self) {
        self.frost.freeze();
        self.order(Command::Freeze);
    }

    /// Goes on after [`Upstream::freeze`].
    pub fn thaw(&self) {
        self.frost.thaw();
    }

    fn order(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // Full means that the thread is frozen under 64 earlier orders: another would change nothing.
            let _ = commands.try_send(command);
        }
    }

    /// CPU time that the upstream's thread has used, from the scheduler's own account.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        let path = format!("/proc/self/task/{}/schedstat", self.thread_id.as_raw_nonzero());
        let text = std::fs::read_to_string(path)?;
        let on_cpu = text.split_ascii_whitespace().next().and_then(|first| first.parse().ok());
        on_cpu.map(Duration::from_nanos).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Stops it and waits for its thread. A panic in it is raised here.
    pub fn join(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.thaw();
        drop(self.commands.take());
        let Some(thread) = self.thread.take() else { return };
        let mut panic = thread.join().err();
        let slot: &Mutex<_> = &self.panic;
        panic = panic.or_else(|| slot.lock().unwrap_or_else(PoisonError::into_inner).take());
        // A second panic while the test unwinds would abort and hide the first.
        if let (Some(panic), false) = (panic, std::thread::panicking()) {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("url", &self.url()).finish_non_exhaustive()
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn pin(cpu: Option<usize>) -> io::Result<()> {
    let Some(cpu) = cpu else { return Ok(()) };
    let mut set = CpuSet::new();
    if cpu >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}
