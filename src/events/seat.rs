//! One subscriber as others see it: who it is, where it stands, and what is only for it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::SystemTime;

use bytes::Bytes;

use super::draft::Draft;
use super::topic::Topic;
use crate::config::Proof;
use crate::error::Kind;

/// Events for one subscriber alone that it has not read.
const MOST_DIRECT: usize = 64;

/// Who subscribes.
#[derive(Debug, Clone)]
pub struct Card {
    /// The id of its request; no two of a process have the same.
    pub request: String,
    /// The configured name of the client, where clients are known.
    pub client: Option<Arc<str>>,
    /// What it proved itself by.
    pub proof: Option<Proof>,
    /// Where it connects from.
    pub address: String,
    /// When it came.
    pub since: SystemTime,
}

/// Why a subscription ends that its client did not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The process leaves, or the route is gone: an end in order.
    Left,
    /// The client may not go on: its key is gone, or its right.
    NotAllowed(Kind),
}

/// An event that a subscriber is sent alone was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// It has a place in no order, so that no id can be asked for.
    HasId,
    /// The subscriber has not read those before.
    Full,
}

/// A subscriber, as all workers have it.
#[derive(Debug)]
pub struct Seat {
    /// Who it is.
    pub card: Card,
    topic: Arc<Topic>,
    /// The place of the event that it reads next.
    pub(super) place: AtomicU64,
    inbox: Mutex<Inbox>,
}

/// What is only for one.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) direct: VecDeque<Bytes>,
    pub(super) over: Option<Over>,
    waker: Option<Waker>,
}

impl Inbox {
    pub(super) fn wait(&mut self, cx: &Context<'_>) {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }
}

impl Seat {
    pub(super) fn new(card: Card, topic: Arc<Topic>) -> Self {
        Self { card, topic, place: AtomicU64::new(0), inbox: Mutex::default() }
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name that it reads.
    pub fn topic(&self) -> &Arc<Topic> {
        &self.topic
    }

    /// The id of the last event that was handed to it, or of the one in front of its first.
    pub fn position(&self) -> Box<str> {
        self.topic.id_behind(self.place.load(Relaxed))
    }

    /// Ends the subscription; the first reason stays.
    pub fn end(&self, over: Over) {
        self.tell(|inbox| {
            inbox.over.get_or_insert(over);
        });
    }

    /// Sends events to this subscriber alone; all of them or none. They have no ids, and so move no cursor.
    ///
    /// # Errors
    /// See [`NotSent`].
    pub fn send(&self, drafts: &[Draft]) -> Result<(), NotSent> {
        if drafts.iter().any(|draft| draft.id.is_some()) {
            return Err(NotSent::HasId);
        }
        self.tell(|inbox| {
            if inbox.direct.len() + drafts.len() > MOST_DIRECT {
                return Err(NotSent::Full);
            }
            inbox.direct.extend(drafts.iter().map(|draft| draft.lines.clone()));
            Ok(())
        })
    }

    fn tell<T>(&self, change: impl FnOnce(&mut Inbox) -> T) -> T {
        let (told, waker) = {
            let mut inbox = self.inbox();
            (change(&mut inbox), inbox.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        told
    }
}
