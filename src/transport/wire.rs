//! What is known of one connection's socket: when it last read and wrote, and what that was handed to
//! the protocol layer has not left yet.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use crate::error::{Cause, Kind};
use crate::record::{Outcome, Record};

/// What is known of one connection's socket. Shared by everything that lives on the connection;
/// all of one thread.
pub struct Wire {
    read_at: Cell<Instant>,
    written_at: Cell<Instant>,
    unanswered: Cell<Option<Instant>>,
    full: Cell<bool>,
    drained_at: Cell<Instant>,
    bytes_read: Cell<u64>,
    flushes: Cell<u64>,
    handed: RefCell<Vec<Handed>>,
    flush_waiters: RefCell<Vec<Waker>>,
    stalled: Cell<bool>,
    broken: Cell<bool>,
    /// Why reading failed, where it did.
    failed_for: Cell<Option<Cause>>,
    /// Answers of which the protocol layer still holds a part, or gets more.
    answers: Cell<usize>,
    /// Requests that the client gave up, and nobody has asked about.
    given_up: Cell<u32>,
    ended_by: Cell<Option<Kind>>,
    /// Since when the peer may send no body, and for how long it was so before.
    shut: Cell<Option<Instant>>,
    was_shut: Cell<Duration>,
    doomed: Cell<bool>,
    /// Whoever drives the connection, to be told that.
    driver: RefCell<Option<Waker>>,
}

/// Something given to the protocol layer whose departure a record waits for.
enum Handed {
    RequestHead(Rc<Record>),
    Answer(Rc<Record>),
    Last(Rc<Record>),
    Cancel(Rc<Record>, Instant),
}

impl Wire {
    /// Of a socket that has neither read nor written yet.
    pub fn new(now: Instant) -> Self {
        Self {
            read_at: Cell::new(now),
            written_at: Cell::new(now),
            unanswered: Cell::new(None),
            full: Cell::new(false),
            drained_at: Cell::new(now),
            bytes_read: Cell::new(0),
            flushes: Cell::new(0),
            handed: RefCell::default(),
            flush_waiters: RefCell::default(),
            stalled: Cell::new(false),
            broken: Cell::new(false),
            failed_for: Cell::new(None),
            answers: Cell::new(0),
            given_up: Cell::new(0),
            ended_by: Cell::new(None),
            shut: Cell::new(None),
            was_shut: Cell::new(Duration::ZERO),
            doomed: Cell::new(false),
            driver: RefCell::default(),
        }
    }

    /// The socket gave `bytes`.
    pub(super) fn read(&self, at: Instant, bytes: usize) {
        self.read_at.set(at);
        self.unanswered.set(None);
        self.bytes_read.set(self.bytes_read.get() + bytes as u64);
    }

    /// The socket took something.
    pub(super) fn wrote(&self, at: Instant) {
        self.written_at.set(at);
        if self.unanswered.get().is_none() {
            self.unanswered.set(Some(at));
        }
        if self.full.replace(false) {
            self.drained_at.set(at);
        }
    }

    /// The socket takes nothing more before its peer has taken something.
    pub(super) fn full(&self) {
        self.full.set(true);
    }

    /// The socket has not taken all that it was given.
    pub fn is_full(&self) -> bool {
        self.full.get()
    }

    /// An answer begins.
    pub fn answer_begins(&self) {
        self.answers.set(self.answers.get() + 1);
    }

    /// All of an answer has left the protocol layer, or it was dropped.
    pub fn answer_ends(&self) {
        self.answers.set(self.answers.get() - 1);
    }

    /// Answers that the protocol layer has not given to the socket as a whole.
    pub fn answers(&self) -> usize {
        self.answers.get()
    }

    /// The client gave up a request before its answer's end.
    pub fn give_up(&self) {
        self.given_up.set(self.given_up.get().saturating_add(1));
    }

    /// Requests that the client gave up since this was asked last.
    pub fn take_given_up(&self) -> u32 {
        self.given_up.take()
    }

    /// Whether the peer may send no byte of any body at `now`, since we have not taken what it sent.
    pub fn shut(&self, shut: bool, now: Instant) {
        match self.shut.get() {
            Some(since) if !shut => {
                self.shut.set(None);
                let more = now.saturating_duration_since(since);
                self.was_shut.set(self.was_shut.get() + more);
            }
            None if shut => self.shut.set(Some(now)),
            _ => {}
        }
    }

    /// For how long the peer was not allowed to send bodies, in all.
    pub fn shut_for(&self) -> Duration {
        let now = self.shut.get().map(|since| since.elapsed());
        self.was_shut.get() + now.unwrap_or_default()
    }

    /// When the socket last took something.
    pub fn written_at(&self) -> Instant {
        self.written_at.get()
    }

    /// We end the connection, for this.
    pub fn end_by(&self, kind: Kind) {
        self.ended_by.set(Some(kind));
    }

    /// Why we ended the connection, where we did.
    pub fn ended_by(&self) -> Option<Kind> {
        self.ended_by.get()
    }

    /// The peer took nothing for the write-stall deadline.
    pub(super) fn stall(&self) {
        self.stalled.set(true);
    }

    /// The peer has closed, or reset: a write failed.
    pub fn break_writing(&self) {
        self.broken.set(true);
    }

    /// No write failed so far.
    pub fn can_write(&self) -> bool {
        !self.broken.get()
    }

    /// When the socket last gave bytes.
    pub fn read_at(&self) -> Instant {
        self.read_at.get()
    }

    /// Since when the socket has given nothing although it took something.
    pub fn unanswered_since(&self) -> Option<Instant> {
        self.unanswered.get()
    }

    /// When the socket had room again after it was full: its peer's kernel takes what is sent.
    pub fn drained_at(&self) -> Instant {
        self.drained_at.get()
    }

    /// Reading failed for this: the protocols above may keep an error's kind and not what it was.
    pub fn failed(&self, cause: Cause) {
        self.failed_for.set(Some(cause));
    }

    /// Why reading failed, where it did.
    pub fn failed_for(&self) -> Option<Cause> {
        self.failed_for.get()
    }

    /// Bytes that the socket has given so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.get()
    }

    /// How often everything that was handed down had left for the kernel.
    pub fn flushes(&self) -> u64 {
        self.flushes.get()
    }

    /// Whether the connection ended because the peer took no byte for the write-stall deadline.
    pub fn stalled(&self) -> bool {
        self.stalled.get()
    }

    /// The connection is to end now: its peer takes nothing, and what is held for it is wanted.
    pub fn doom(&self) {
        self.doomed.set(true);
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    /// Whether it is to end now.
    pub fn is_doomed(&self) -> bool {
        self.doomed.get()
    }

    /// The same for whoever drives the connection, and is woken for it.
    pub fn poll_doomed(&self, cx: &Context<'_>) -> bool {
        let mut driver = self.driver.borrow_mut();
        // A connection lives in one task, whose waker does not change.
        driver.get_or_insert_with(|| cx.waker().clone());
        self.doomed.get()
    }

    /// A request's head was handed to the protocol layer toward the upstream.
    pub fn handed_request_head(&self, record: &Rc<Record>) {
        self.handed.borrow_mut().push(Handed::RequestHead(Rc::clone(record)));
    }

    /// A stream's reset was handed to the protocol layer toward the upstream.
    pub fn handed_cancel(&self, record: &Rc<Record>, at: Instant) {
        self.handed.borrow_mut().push(Handed::Cancel(Rc::clone(record), at));
    }

    /// A part of an answer was handed to the protocol layer toward the client.
    pub fn handed_answer(&self, record: &Rc<Record>) {
        let mut handed = self.handed.borrow_mut();
        // Frames that leave in one write belong to one mark.
        if !matches!(handed.last(), Some(Handed::Answer(last)) if Rc::ptr_eq(last, record)) {
            handed.push(Handed::Answer(Rc::clone(record)));
        }
    }

    /// The last part of an answer was handed to the protocol layer: once it has left, the request is
    /// complete.
    pub fn handed_last(&self, record: &Rc<Record>) {
        self.handed.borrow_mut().push(Handed::Last(Rc::clone(record)));
    }

    /// Wakes `waker` once everything handed down so far has left for the kernel, or never if the
    /// connection ends first (its task is dropped then).
    pub fn wake_on_flush(&self, waker: &Waker) {
        let mut waiters = self.flush_waiters.borrow_mut();
        if !waiters.iter().any(|known| known.will_wake(waker)) {
            waiters.push(waker.clone());
        }
    }

    /// Everything that was handed down has left for the kernel.
    pub(super) fn flushed(&self) {
        self.flushes.set(self.flushes.get() + 1);
        if !self.handed.borrow().is_empty() {
            let at = self.written_at.get();
            // The records are closed outside the borrow: closing one may hand down nothing more,
            // but must not be able to find the list borrowed.
            for handed in self.handed.take() {
                match handed {
                    Handed::RequestHead(record) => record.head_sent(at),
                    Handed::Answer(record) => record.written(at),
                    Handed::Last(record) => {
                        record.written(at);
                        record.end(Outcome::Complete);
                    }
                    Handed::Cancel(record, since) => record.cancelled(at - since),
                }
            }
        }
        if !self.flush_waiters.borrow().is_empty() {
            for waker in self.flush_waiters.take() {
                waker.wake();
            }
        }
    }
}
