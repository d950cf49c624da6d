//! Whether what is kept over restarts gets to the disk.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Set by the thread that writes, shown with the metrics.
#[derive(Debug, Default)]
pub struct StoreMeter(Mutex<Standing>);

#[derive(Debug, Default, Clone, Copy)]
enum Standing {
    /// Nothing is kept.
    #[default]
    None,
    Written,
    /// A write failed; nothing was written since then.
    Waiting(Instant),
}

impl StoreMeter {
    /// All is written.
    pub fn wrote(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Standing::Written;
    }

    /// It could not be written.
    pub fn failed(&self) {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*standing, Standing::Waiting(_)) {
            *standing = Standing::Waiting(Instant::now());
        }
    }

    /// For how long writes have failed; `None` where nothing is kept.
    pub(in crate::record) fn unwritten(&self) -> Option<Duration> {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Standing::None => None,
            Standing::Written => Some(Duration::ZERO),
            Standing::Waiting(since) => Some(since.elapsed()),
        }
    }
}
