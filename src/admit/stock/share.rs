//! What is held of one request, and how it is ended where that is too much.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::Stock;
use crate::transport::Wire;

/// An answer that is complete, but for its last bytes, leaves with its connection only. That ends others
/// too, so it has longer.
pub(super) const LAST_BYTES: Duration = Duration::from_secs(1);

/// What is held of one request, in one direction.
pub struct Share {
    stock: Rc<Stock>,
    pub(super) held: Cell<u64>,
    /// Its place among those who wait.
    index: Cell<Option<usize>>,
    pub(super) since: Cell<Instant>,
    end: RefCell<End>,
    ended: Cell<bool>,
}

/// How one that waits is ended.
enum End {
    /// It is woken, and finds that it [is ended](Share::is_ended).
    Wake(Option<Waker>),
    /// Its client's connection goes.
    Connection(Rc<Wire>),
}

impl Share {
    /// Nothing yet, and nobody waits.
    pub(super) fn new(stock: Rc<Stock>) -> Self {
        Self {
            stock,
            held: Cell::default(),
            index: Cell::default(),
            since: Cell::new(Instant::now()),
            end: RefCell::new(End::Wake(None)),
            ended: Cell::default(),
        }
    }

    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.held.get() as usize
    }

    /// So many bytes more are held.
    pub fn add(&self, bytes: usize) {
        if !self.ended.get() {
            self.held.set(self.held.get() + bytes as u64);
            self.stock.add(bytes as u64);
        }
    }

    /// So many are not held any more.
    pub fn sub(&self, bytes: usize) {
        if !self.ended.get() {
            self.held.set(self.held.get().saturating_sub(bytes as u64));
            self.stock.sub(bytes as u64);
        }
    }

    /// What was counted as so many bytes is so many now.
    pub fn set(&self, before: usize, now: usize) {
        if now >= before {
            self.add(now - before);
        } else {
            self.sub(before - now);
        }
    }

    /// The peer has taken nothing since then. If it is ended for that, `waker` is woken.
    pub fn wait(self: &Rc<Self>, since: Instant, waker: &Waker) {
        self.since.set(since);
        let mut end = self.end.borrow_mut();
        if !matches!(&*end, End::Wake(Some(known)) if known.will_wake(waker)) {
            *end = End::Wake(Some(waker.clone()));
        }
        drop(end);
        self.join();
    }

    /// What is left of an answer is in the hands of its connection alone.
    pub fn leave_to(self: &Rc<Self>, connection: &Rc<Wire>) {
        self.since.set(Instant::now());
        self.end.replace(End::Connection(Rc::clone(connection)));
        self.join();
    }

    /// The peer took something, or nothing is held any more.
    pub fn go_on(&self) {
        let Some(index) = self.index.take() else { return };
        let mut waiting = self.stock.waiting.borrow_mut();
        let _mine = waiting.swap_remove(index);
        if let Some(moved) = waiting.get(index) {
            moved.index.set(Some(index));
        }
    }

    /// It was ended for want of memory.
    pub fn is_ended(&self) -> bool {
        self.ended.get()
    }

    fn join(self: &Rc<Self>) {
        if self.index.get().is_none() && !self.ended.get() {
            let mut waiting = self.stock.waiting.borrow_mut();
            self.index.set(Some(waiting.len()));
            waiting.push(Rc::clone(self));
        }
    }

    pub(super) fn may_end(&self, now: Instant, pause: Duration) -> bool {
        let least = match &*self.end.borrow() {
            End::Wake(_) => pause,
            End::Connection(_) => LAST_BYTES,
        };
        self.held.get() > 0 && now.saturating_duration_since(self.since.get()) >= least
    }

    /// Its bytes count as given back from here on: they are as soon as its task had its turn.
    pub(super) fn end(&self) {
        self.go_on();
        self.stock.sub(self.held.take());
        self.ended.set(true);
        match self.end.replace(End::Wake(None)) {
            End::Wake(waker) => {
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            End::Connection(wire) => wire.doom(),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.stock.sub(self.held.get());
    }
}
