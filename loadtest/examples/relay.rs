//! The floor: what any proxy must add, because a process stands in between.
//!
//! `cargo run --release -p firstbyte-loadtest --example relay -- LISTEN TARGET` copies bytes between each accepted connection and one
//! connection to TARGET. One thread, one epoll, `TCP_NODELAY` on both sides; no HTTP, no TLS, no buffers to fill. A wake costs
//! one `epoll_wait`, one `read` and one `write`, and that is all it does, so no proxy on this machine can beat its latency.
//!
//! It is for loopback measurements: TARGET is dialled while everyone else waits, and there is no deadline anywhere.

use std::env;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;

/// As much as one `read` may bring; larger than a TLS record, smaller than a socket buffer.
const READ_BYTES: usize = 64 * 1024;
const LISTENER: u64 = u64::MAX;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [listen, target] = arguments.as_slice() else {
        return Err(io::Error::new(ErrorKind::InvalidInput, "usage: relay LISTEN TARGET"));
    };
    Relay::new(parse(listen)?, parse(target)?)?.run()
}

fn parse(address: &str) -> io::Result<SocketAddr> {
    address.parse().map_err(|error| {
        io::Error::new(ErrorKind::InvalidInput, format!("{address}: {error} (want IP:PORT)"))
    })
}

struct Relay {
    epoll: OwnedFd,
    listener: TcpListener,
    target: SocketAddr,
    /// An event's number is `2 * slot + end`. A slot taken again within one batch of events may get an event of its
    /// former tenant: epoll is level-triggered and reads don't block, so that is one vain `read`.
    pairs: Vec<Option<Pair>>,
    free: Vec<usize>,
    buffer: Box<[u8]>,
}

impl Relay {
    fn new(listen: SocketAddr, target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        println!("relay {} -> {target}", listener.local_addr()?);
        let buffer = vec![0; READ_BYTES].into_boxed_slice();
        Ok(Self { epoll, listener, target, pairs: Vec::new(), free: Vec::new(), buffer })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(256);
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                if event.data.u64() == LISTENER {
                    self.accept();
                } else {
                    self.serve(event.data.u64() as usize, event.flags);
                }
            }
        }
    }

    /// A connection that can't be served is dropped, which the client sees; the others go on.
    fn accept(&mut self) {
        while let Ok((client, _)) = self.listener.accept() {
            let slot = self.free.pop().unwrap_or_else(|| {
                self.pairs.push(None);
                self.pairs.len() - 1
            });
            match TcpStream::connect(self.target).and_then(|target| self.open(slot, client, target))
            {
                Ok(pair) => self.pairs[slot] = Some(pair),
                Err(error) => {
                    eprintln!("relay: {}: {error}", self.target);
                    self.free.push(slot);
                }
            }
        }
    }

    fn open(&self, slot: usize, client: TcpStream, target: TcpStream) -> io::Result<Pair> {
        let ends = [client, target];
        for (end, number) in ends.iter().zip(2 * slot as u64..) {
            end.set_nodelay(true)?;
            end.set_nonblocking(true)?;
            epoll::add(&self.epoll, end, EventData::new_u64(number), EventFlags::IN)?;
        }
        Ok(Pair { ends, waiting: [Vec::new(), Vec::new()], ended: [false; 2] })
    }

    fn serve(&mut self, number: usize, flags: EventFlags) {
        let (slot, end) = (number / 2, number % 2);
        let Some(pair) = self.pairs.get_mut(slot).and_then(Option::as_mut) else { return };
        match pair.advance(end, flags, &mut self.buffer) {
            Ok(Next::SameInterest) => {}
            Ok(Next::NewInterest) if pair.subscribe(&self.epoll, slot).is_ok() => {}
            // Dropping the sockets closes them, and epoll forgets a closed socket by itself.
            Ok(Next::NewInterest | Next::Close) | Err(_) => {
                self.pairs[slot] = None;
                self.free.push(slot);
            }
        }
    }
}

/// What the events to wait for are, after a wake.
enum Next {
    SameInterest,
    NewInterest,
    Close,
}

/// Two sockets; whatever one brings goes to the other.
struct Pair {
    ends: [TcpStream; 2],
    /// What could not yet be written to each end. While it holds anything, the other end is not read: memory is bounded by
    /// one read per direction.
    waiting: [Vec<u8>; 2],
    /// Ends that will bring nothing more.
    ended: [bool; 2],
}

impl Pair {
    fn advance(&mut self, end: usize, flags: EventFlags, buffer: &mut [u8]) -> io::Result<Next> {
        if flags.contains(EventFlags::ERR) {
            return Ok(Next::Close);
        }
        let before = self.interest();
        if flags.contains(EventFlags::OUT) {
            self.flush(end)?;
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP)
            && before[end].contains(EventFlags::IN)
        {
            self.forward(end, buffer)?;
        }
        let idle = self.waiting.iter().all(Vec::is_empty);
        Ok(match self.ended {
            [true, true] if idle => Next::Close,
            _ if self.interest() == before => Next::SameInterest,
            _ => Next::NewInterest,
        })
    }

    /// One read and one write: what a single wake is worth.
    fn forward(&mut self, from: usize, buffer: &mut [u8]) -> io::Result<()> {
        let to = 1 - from;
        let read = match self.ends[from].read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        if read == 0 {
            self.ended[from] = true;
            return self.flush(to);
        }
        let written = write_some(&mut self.ends[to], &buffer[..read])?;
        self.waiting[to].extend_from_slice(&buffer[written..read]);
        Ok(())
    }

    /// Writes what waits for `to`, and passes the end on once nothing does.
    fn flush(&mut self, to: usize) -> io::Result<()> {
        let written = write_some(&mut self.ends[to], &self.waiting[to])?;
        self.waiting[to].drain(..written);
        if self.waiting[to].is_empty() && self.ended[1 - to] {
            self.ends[to].shutdown(Shutdown::Write)?;
        }
        Ok(())
    }

    fn interest(&self) -> [EventFlags; 2] {
        [0, 1].map(|end| {
            let mut flags = EventFlags::empty();
            flags.set(EventFlags::IN, !self.ended[end] && self.waiting[1 - end].is_empty());
            flags.set(EventFlags::OUT, !self.waiting[end].is_empty());
            flags
        })
    }

    fn subscribe(&self, epoll: &OwnedFd, slot: usize) -> io::Result<()> {
        for ((end, flags), number) in self.ends.iter().zip(self.interest()).zip(2 * slot as u64..) {
            epoll::modify(epoll, end, EventData::new_u64(number), flags)?;
        }
        Ok(())
    }
}

/// How much the socket took; none when it is full.
fn write_some(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    match socket.write(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}
