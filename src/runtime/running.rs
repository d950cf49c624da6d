//! A proxy that runs: where it is, whether it is ready, how it ends.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::keeping::Keeping;
use super::orders::Order;
use super::reloading::reloader::Reloader;
use super::reloading::together::Together;
use super::warm::Warmed;
use crate::admin::Readiness;
use crate::config::ListenAddress;
use crate::handover::Listening;
use crate::record::Hub;

/// A running proxy. Dropped, it stops at once and its threads are joined.
pub struct Running {
    pub(super) places: Vec<ListenAddress>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) admin: Option<SocketAddr>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) hub: Arc<Hub>,
    /// To be given on; none once it drains.
    pub(super) listening: Mutex<Option<Arc<Listening>>>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) keeping: Arc<Keeping>,
    pub(super) orders: watch::Sender<Order>,
    pub(super) workers: Vec<JoinHandle<usize>>,
    pub(super) admin_thread: Option<(JoinHandle<()>, oneshot::Sender<()>)>,
    pub(super) together: Together,
    pub(super) warmed: Arc<Warmed>,
}

impl Running {
    /// Where clients connect, in the configuration's order, with the ports that the kernel chose.
    pub fn places(&self) -> &[ListenAddress] {
        &self.places
    }

    /// The same without Unix sockets.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where `/readyz` and `/metrics` answer.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Whether every worker has warm connections to the upstreams of its routes, or has waited for them as long
    /// as a connect may take and has some.
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }

    /// Whether an upstream answers just now, of whatever route.
    pub fn answers(&self) -> bool {
        self.readiness.answers()
    }

    /// Waits until [`Running::is_ready`], at most `within`; `false` if that passed.
    pub fn wait_ready(&self, within: Duration) -> bool {
        self.warmed.wait(self.workers.len(), within)
    }

    /// Reads the configuration again.
    pub fn reloader(&self) -> &Arc<Reloader> {
        &self.reloader
    }

    /// What is kept over restarts.
    pub fn keeping(&self) -> &Arc<Keeping> {
        &self.keeping
    }

    /// The sockets that it listens on, for another process; nothing once it drains.
    pub fn listening(&self) -> Option<Arc<Listening>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Accepts from now on, where it was started to wait for its turn.
    pub fn open(&self) {
        let _told = self.orders.send(Order::Serve);
    }

    /// Leaves the admin listener to another process; what is being answered there is cut.
    pub fn leave_admin(&mut self) {
        if let Some((thread, stop)) = self.admin_thread.take() {
            drop(stop);
            let _ended = thread.join();
        }
    }

    /// Turns readiness off and goes on accepting; each answer ends its connection from now on. For a process
    /// that accepts. [`Running::drain`] follows.
    pub fn lame_duck(&self) {
        self.readiness.drain();
        self.hub.drains();
        let _told = self.orders.send(Order::LameDuck);
    }

    /// Turns readiness off, closes the listeners and lets connections finish until the drain
    /// deadline, which counts from the lame duck where there was one. [`Running::join`] waits for it.
    pub fn drain(&self) {
        self.readiness.drain();
        drop(self.listening.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.hub.drains();
        let _told = self.orders.send(Order::Drain);
        // They have no end of their own, and whoever comes back comes to another process.
        self.reloader.end_subscriptions();
    }

    /// Ends everything now.
    pub fn stop(&self) {
        let _told = self.orders.send(Order::Stop);
    }

    /// [`Running::stop`] for somebody else's hands, while another waits in [`Running::join`].
    pub fn stopper(&self) -> Stopper {
        Stopper(self.orders.clone())
    }

    /// Waits for the workers to end, writes what is kept and flushes the access log. The number of requests that were
    /// cut.
    pub fn join(mut self) -> usize {
        self.finish()
    }

    fn finish(&mut self) -> usize {
        let mut cut = 0;
        for worker in self.workers.drain(..) {
            // A worker that panicked has said so; its streams are gone already.
            cut += worker.join().unwrap_or(0);
        }
        self.together.stop();
        self.hub.finish(Duration::from_secs(2));
        self.leave_admin();
        self.keeping.finish();
        cut
    }
}

/// Ends a proxy now.
pub struct Stopper(watch::Sender<Order>);

impl Stopper {
    /// See [`Running::stop`].
    pub fn stop(&self) {
        let _told = self.0.send(Order::Stop);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        self.finish();
    }
}
