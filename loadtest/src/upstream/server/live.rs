//! Connections that are open, so that a test can break them from outside while nothing happens on them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::upstream::wire::{Cut, Wire};

/// What a test asks of a running upstream.
pub(in crate::upstream) enum Command {
    /// Ends every open connection.
    Cut(Cut),
    /// Retires every open connection: a graceful GOAWAY; HTTP/1.1 closes if idle.
    Retire,
    /// Stops the thread until it is thawed.
    Freeze,
}

/// The open connections of one thread, by number.
#[derive(Default)]
pub(in crate::upstream) struct Live {
    open: RefCell<BTreeMap<u64, Connection>>,
}

struct Connection {
    wire: Wire,
    retire: Box<dyn Fn()>,
}

/// Keeps a connection among the live ones; dropping it takes it out.
pub(in crate::upstream) struct Registered {
    live: Rc<Live>,
    number: u64,
}

impl Live {
    /// `retire` ends the connection in the orderly way of its protocol.
    pub(in crate::upstream) fn register(
        self: &Rc<Self>,
        number: u64,
        wire: Wire,
        retire: impl Fn() + 'static,
    ) -> Registered {
        self.open.borrow_mut().insert(number, Connection { wire, retire: Box::new(retire) });
        Registered { live: self.clone(), number }
    }

    pub(in crate::upstream) fn cut_all(&self, how: Cut) {
        self.open.borrow().values().for_each(|connection| connection.wire.cut(how));
    }

    pub(in crate::upstream) fn retire_all(&self) {
        self.open.borrow().values().for_each(|connection| (connection.retire)());
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.live.open.borrow_mut().remove(&self.number);
    }
}

/// Holds the upstream's thread, as SIGSTOP would: the kernel still acknowledges, nobody answers.
#[derive(Clone, Default)]
pub(in crate::upstream) struct Frost {
    frozen: Arc<(Mutex<bool>, Condvar)>,
}

impl Frost {
    pub(in crate::upstream) fn freeze(&self) {
        *self.frozen.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    pub(in crate::upstream) fn thaw(&self) {
        *self.frozen.0.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.frozen.1.notify_all();
    }

    /// Blocks while it is frozen.
    pub(in crate::upstream) fn hold(&self) {
        let frozen = self.frozen.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.frozen.1.wait_while(frozen, |frozen| *frozen));
    }
}
