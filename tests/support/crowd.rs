//! Many HTTP/1.1 clients at once, each asking again and again until it is told to stop, and what they saw.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use super::fixture::PATIENCE;
use super::peers::raw_http1::Client;

/// One request and its answer.
#[derive(Debug)]
pub(crate) struct Visit {
    /// Of this request alone.
    pub(crate) path: String,
    /// `None`: the connection ended before the head.
    pub(crate) status: Option<u16>,
    /// The body is that which was expected, to its end.
    pub(crate) well: bool,
    pub(crate) body: String,
}

/// Clients at work.
pub(crate) struct Crowd {
    clients: Vec<JoinHandle<()>>,
    visits: Arc<Mutex<Vec<Visit>>>,
    count: Arc<AtomicUsize>,
    leave: Arc<AtomicBool>,
}

impl Crowd {
    /// `clients` of them; each answer is to be `expected` with 200.
    pub(crate) fn gather(address: SocketAddr, clients: usize, expected: &str) -> Self {
        let (visits, count, leave) = (Arc::default(), Arc::default(), Arc::default());
        let one = |number: usize| {
            let (visits, count, leave) =
                (Arc::clone(&visits), Arc::clone(&count), Arc::clone(&leave));
            let expected = expected.to_owned();
            std::thread::spawn(move || {
                keep_asking(address, number, &expected, &visits, &count, &leave);
            })
        };
        let clients = (0..clients).map(one).collect();
        Self { clients, visits, count, leave }
    }

    /// Waits until so many more requests have ended.
    pub(crate) fn go_on_for(&self, requests: usize) {
        let (begun, goal) = (Instant::now(), self.count.load(Ordering::Relaxed) + requests);
        while self.count.load(Ordering::Relaxed) < goal {
            assert!(begun.elapsed() < 3 * PATIENCE, "the crowd is stuck");
            std::thread::yield_now();
        }
    }

    /// Lets them finish their last requests; all that they saw.
    pub(crate) fn leave(mut self) -> Vec<Visit> {
        self.leave.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().expect("no panic");
        }
        std::mem::take(&mut *self.visits.lock().expect("no panic"))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.leave.store(true, Ordering::Relaxed);
    }
}

fn keep_asking(
    address: SocketAddr,
    number: usize,
    expected: &str,
    visits: &Mutex<Vec<Visit>>,
    count: &AtomicUsize,
    leave: &AtomicBool,
) {
    let mut client = Client::to(address);
    for nth in 0.. {
        if leave.load(Ordering::Relaxed) {
            return;
        }
        let path = format!("/v1/{number}/{nth}");
        client.ask(&path, b"{\"stream\":true}");
        let answer = client.answer();
        let status = answer.as_ref().map(|answer| answer.status);
        let whole = answer.as_ref().is_some_and(|answer| answer.whole);
        let body = answer.map(|answer| answer.text()).unwrap_or_default();
        let well = status == Some(200) && whole && body == expected;
        if !whole {
            client = Client::to(address);
        }
        visits.lock().expect("no panic").push(Visit { path, status, well, body });
        count.fetch_add(1, Ordering::Relaxed);
    }
}
