//! Reads an upstream's answer into its stream, as fast as it comes, whoever reads that.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::Notify;

use crate::error::Kind;
use crate::relay::Pump;
use crate::streams::{End, KeptStream};

/// After so many bytes others get a turn, readers first of all: of the smallest ring it is a quarter, so that none is
/// overtaken that keeps up.
const TURN: usize = 64 * 1024;

/// A worker's running pumps.
#[derive(Default)]
pub(super) struct Pumps {
    running: Cell<usize>,
    is_empty: Notify,
}

/// One of them, for as long as it lives.
struct Running {
    pumps: Rc<Pumps>,
    stream: Arc<KeptStream>,
}

impl Pumps {
    /// Begins to read.
    pub(super) fn start(self: &Rc<Self>, pump: Pump, stream: Arc<KeptStream>) {
        self.running.set(self.running.get() + 1);
        let running = Running { pumps: Rc::clone(self), stream };
        tokio::task::spawn_local(run(pump, running));
    }

    pub(super) async fn emptied(&self) {
        while self.running.get() > 0 {
            self.is_empty.notified().await;
        }
    }
}

/// Dropped with its worker, it cancels upstream, and the stream is cut.
async fn run(mut pump: Pump, running: Running) {
    let end = poll_fn(|cx| poll(&mut pump, &running.stream, cx)).await;
    // First of all the upstream is told, and the record.
    drop(pump);
    running.stream.end(end);
}

fn poll(pump: &mut Pump, stream: &KeptStream, cx: &mut Context<'_>) -> Poll<End> {
    let mut read = 0;
    loop {
        // Its owner may stop it, and the sweeper give it up.
        if let Poll::Ready(end) = stream.log().poll_over(cx) {
            return Poll::Ready(end);
        }
        match ready!(pump.poll_chunk(cx)) {
            Some(Ok(bytes)) => {
                stream.log().append(&bytes, pump.heard());
                read += bytes.len();
            }
            Some(Err(error)) => return Poll::Ready(End::Cut(error.kind())),
            None => return Poll::Ready(End::Complete),
        }
        if read >= TURN {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stream.end(End::Cut(Kind::Draining));
        self.pumps.running.set(self.pumps.running.get() - 1);
        if self.pumps.running.get() == 0 {
            self.pumps.is_empty.notify_waiters();
        }
    }
}
