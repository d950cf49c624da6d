//! What the thread that shares limits has in common with requests and reloads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::books::Books;
use super::link::Link;
use crate::admit::{Directory, Sharing, Standing};
use crate::config::OnLoss;

/// What the thread and others look at.
pub(super) struct Shared {
    pub(super) sharing: Arc<Sharing>,
    /// Limits of the configuration in force, where the thread has not seen them yet.
    pub(super) limits: Mutex<Option<Arc<Directory>>>,
    /// The connection, while there is one.
    pub(super) link: Mutex<Option<Link>>,
    /// They go from one thread to the next where the section `redis` changes.
    pub(super) books: Arc<Mutex<Books>>,
    pub(super) stop: Notify,
    /// Nobody shares the limits after this.
    pub(super) is_last: AtomicBool,
    pub(super) silence: Silence,
}

/// Notices that a request asked in vain. One of a connection that is gone says nothing of the next.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Connections so far.
    connections: AtomicU64,
    /// The last of them of which a request had no answer.
    silent: AtomicU64,
    notice: Notify,
}

impl Silence {
    /// There is a new connection.
    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    /// The connection that there is, for who is about to ask.
    pub(super) fn connection(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// There was no answer from this one.
    pub(super) fn notice(&self, connection: u64) {
        self.silent.fetch_max(connection, Relaxed);
        self.notice.notify_one();
    }

    /// Waits until a request has asked in vain over the connection that there is. Dropped, no notice is lost.
    pub(super) async fn noticed(&self) {
        loop {
            self.notice.notified().await;
            if self.silent.load(Relaxed) == self.connection() {
                return;
            }
        }
    }
}

impl Shared {
    pub(super) fn link(&self) -> Option<Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a process stands that lost the server.
pub(super) fn standing(on_loss: OnLoss) -> Standing {
    match on_loss {
        OnLoss::Local => Standing::Local,
        OnLoss::Deny => Standing::Deny,
        OnLoss::Allow => Standing::Allow,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_request_that_asked_over_a_connection_that_is_gone_says_nothing_of_the_next() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let silence = Silence::default();
            silence.connected();
            let first = silence.connection();
            silence.notice(first);
            silence.noticed().await;
            silence.notice(first);
            silence.connected();
            let of_the_first = tokio::time::timeout(Duration::ZERO, silence.noticed()).await;
            assert!(of_the_first.is_err(), "it was lost already");
            silence.notice(silence.connection());
            silence.noticed().await;
        });
    }
}
