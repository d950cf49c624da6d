//! An upstream without HTTP: what came, byte for byte, and scripted bytes back. For tests of framing and smuggling,
//! where a parser of our own would hide what it was sent.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::clock::now_ns;
use super::wire::{Cut, Transport, Wire};

/// How much of one connection is kept.
const KEPT: usize = 4 * 1024 * 1024;

/// One thing to do on each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawStep {
    /// Reads until so many more bytes have come since the last reading step.
    Read(usize),
    /// Reads until these bytes have come since the last reading step.
    ReadUntil(Bytes),
    /// Writes exactly these bytes.
    Write(Bytes),
    /// Waits; what comes meanwhile is recorded.
    Wait(Duration),
    /// Ends the connection ([`Cut::MidFrame`] and [`Cut::NoCloseNotify`] are plain FINs here).
    Cut(Cut),
    /// Begins again with the first step.
    Again,
}

/// One connection as it came.
#[derive(Clone, Debug, Default)]
pub struct RawConnection {
    /// The first 4 MiB.
    pub received: Vec<u8>,
    /// When the last of it came, in nanoseconds of CLOCK_MONOTONIC.
    pub last_ns: u64,
    /// The peer closed it or we did.
    pub closed: bool,
}

impl RawConnection {
    /// What came, with everything that is not ASCII replaced.
    pub fn text(&self) -> String {
        self.received
            .iter()
            .map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' })
            .collect()
    }

    /// How often `needle` came.
    pub fn count(&self, needle: &[u8]) -> usize {
        self.received.windows(needle.len().max(1)).filter(|window| *window == needle).count()
    }
}

/// A running recorder on an ephemeral port of 127.0.0.1, in clear. Dropping it closes its connections.
pub struct RawUpstream {
    addr: SocketAddr,
    record: Arc<Record>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Record {
    connections: Mutex<Vec<RawConnection>>,
    changed: Condvar,
}

impl RawUpstream {
    /// Carries out `steps` on every connection, and after the last of them only records.
    pub fn start(steps: Vec<RawStep>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let record = Arc::<Record>::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let shared = record.clone();
        let thread =
            std::thread::Builder::new().name("raw-upstream".to_owned()).spawn(move || {
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, async {
                    tokio::select! {
                        _ = stopped => {}
                        () = accept(listener, steps, shared) => {}
                    }
                });
            })?;
        Ok(Self { addr, record, stop: Some(stop), thread: Some(thread) })
    }

    /// Answers every head that comes (whatever ends in an empty line) with the same bytes.
    pub fn answering(answer: impl Into<Bytes>) -> io::Result<Self> {
        let head = RawStep::ReadUntil(Bytes::from_static(b"\r\n\r\n"));
        Self::start(vec![head, RawStep::Write(answer.into()), RawStep::Again])
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Every connection so far, by order of acceptance.
    pub fn connections(&self) -> Vec<RawConnection> {
        self.record.lock().clone()
    }

    /// Blocks this thread until the connections satisfy `predicate`; false if they did not within `timeout`.
    pub fn wait_for(
        &self,
        mut predicate: impl FnMut(&[RawConnection]) -> bool,
        timeout: Duration,
    ) -> bool {
        let deadline = Instant::now() + timeout;
        let mut connections = self.record.lock();
        while !predicate(&connections) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            let woken = self.record.changed.wait_timeout(connections, left);
            connections = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for RawUpstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        let panicked = self.thread.take().and_then(|thread| thread.join().err());
        if let (Some(panic), false) = (panicked, std::thread::panicking()) {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Record {
    fn lock(&self) -> MutexGuard<'_, Vec<RawConnection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) -> usize {
        let mut connections = self.lock();
        connections.push(RawConnection::default());
        self.changed.notify_all();
        connections.len() - 1
    }

    fn update(&self, number: usize, change: impl FnOnce(&mut RawConnection)) {
        self.lock().get_mut(number).map(change);
        self.changed.notify_all();
    }
}

async fn accept(listener: std::net::TcpListener, steps: Vec<RawStep>, record: Arc<Record>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((tcp, _)) = listener.accept().await {
        let number = record.opened();
        let (steps, record) = (steps.clone(), record.clone());
        tokio::task::spawn_local(async move {
            // How it ended shows in what was recorded.
            let _ = serve(tcp, &steps, &record, number).await;
            record.update(number, |connection| connection.closed = true);
        });
    }
}

/// One connection: the steps, then recording until the peer closes.
async fn serve(
    tcp: TcpStream,
    steps: &[RawStep],
    record: &Record,
    number: usize,
) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let wire = Wire::new(Transport::Clear(tcp), None);
    let mut reader = Reader { wire: wire.clone(), unread: Vec::new(), record, number };
    let mut at = 0;
    while let Some(step) = steps.get(at) {
        at += 1;
        match step {
            RawStep::Read(count) => {
                reader.until(|unread| (unread.len() >= *count).then_some(*count)).await?;
            }
            RawStep::ReadUntil(needle) => {
                let end = |unread: &[u8]| {
                    let found =
                        unread.windows(needle.len().max(1)).position(|window| window == needle);
                    found.map(|at| at + needle.len())
                };
                reader.until(end).await?;
            }
            RawStep::Write(bytes) => {
                let mut wire = wire.clone();
                wire.write_all(bytes).await?;
                wire.flush().await?;
            }
            RawStep::Wait(time) => {
                // Elapsing is the point.
                let _ = tokio::time::timeout(*time, reader.until(|_| None)).await;
            }
            RawStep::Cut(how) => {
                wire.cut(*how);
                return Ok(());
            }
            RawStep::Again => at = 0,
        }
    }
    reader.until(|_| None).await
}

/// Records everything that it reads.
struct Reader<'a> {
    wire: Wire,
    /// What no reading step has used up yet.
    unread: Vec<u8>,
    record: &'a Record,
    number: usize,
}

impl Reader<'_> {
    /// Reads until `end` finds how much of what is unread it wants. An error at the end of the connection.
    async fn until(&mut self, end: impl Fn(&[u8]) -> Option<usize>) -> io::Result<()> {
        loop {
            if let Some(used) = end(&self.unread) {
                self.unread.drain(..used);
                return Ok(());
            }
            let before = self.unread.len();
            if self.wire.read_buf(&mut self.unread).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let came = &self.unread[before..];
            self.record.update(self.number, |connection| {
                let room = KEPT.saturating_sub(connection.received.len());
                connection.received.extend_from_slice(&came[..came.len().min(room)]);
                connection.last_ns = now_ns();
            });
            if self.unread.len() > KEPT {
                // Nobody can want more than is kept.
                self.unread.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn what_came_is_there_byte_for_byte_and_each_head_is_answered() {
        let upstream = RawUpstream::answering("HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let mut tcp = std::net::TcpStream::connect(upstream.addr()).unwrap();
        let odd = b"GET / HTTP/1.1\r\nA : \xff\n\r\n\r\nGET /2 HTTP/1.1\r\n\r\n";
        tcp.write_all(odd).unwrap();
        let mut answers = [0; 2 * 19];
        tcp.read_exact(&mut answers).unwrap();
        assert_eq!(upstream.connections()[0].received, odd);
        assert_eq!(upstream.connections()[0].count(b"GET "), 2);
        drop(tcp);
        assert!(upstream.wait_for(|connections| connections[0].closed, SOON));
    }

    #[test]
    fn a_cut_ends_the_connection_and_later_bytes_are_read_nowhere() {
        let steps = vec![RawStep::Read(3), RawStep::Write("x".into()), RawStep::Cut(Cut::Fin)];
        let upstream = RawUpstream::start(steps).unwrap();
        let mut tcp = std::net::TcpStream::connect(upstream.addr()).unwrap();
        tcp.write_all(b"abc").unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "x");
        assert_eq!(upstream.connections()[0].received, b"abc");
    }
}
