//! What the thread that shares limits has in common with requests and reloads.

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
    pub(super) books: Mutex<Books>,
    pub(super) stop: Notify,
    /// A request asked in vain: the connection is not what it was.
    pub(super) silent: Notify,
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
