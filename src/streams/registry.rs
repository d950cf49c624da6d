//! All kept streams of a process, by their ids: who may have which, and when each goes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::elsewhere::Elsewhere;
use super::id::StreamId;
use super::kept::{Due, KeptStream, NewStream, Owner};
use super::log::End;
use crate::admit::Pressure;
use crate::error::Kind;
use crate::record::StreamMeters;

/// The part of what streams hold that they give back at once while memory is short.
const GIVES_WAY: u64 = 4;
/// What a running stream keeps at least while memory is short, in bytes.
const LEAST: usize = 64 * 1024;
/// Between two looks, at most: memory may be short at any time.
const LONGEST: Duration = Duration::from_millis(500);
/// And at least.
const SHORTEST: Duration = Duration::from_millis(5);

/// The kept streams of a process. Shared by all workers, and kept over reloads.
pub struct Registry {
    meters: Arc<StreamMeters>,
    pressure: Pressure,
    state: Mutex<State>,
    elsewhere: Mutex<Option<Arc<dyn Elsewhere>>>,
    is_swept: AtomicBool,
    is_draining: AtomicBool,
}

#[derive(Default)]
struct State {
    streams: HashMap<StreamId, Arc<KeptStream>>,
    by_owner: HashMap<Owner, Owned>,
}

#[derive(Default)]
struct Owned {
    streams: usize,
    conversations: HashMap<Box<str>, StreamId>,
}

impl Registry {
    /// Keeps nothing yet, and nothing new while memory is short.
    pub fn new(pressure: Pressure, meters: Arc<StreamMeters>) -> Self {
        Self {
            meters,
            pressure,
            state: Mutex::default(),
            elsewhere: Mutex::default(),
            is_swept: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
        }
    }

    /// What is counted.
    pub fn meters(&self) -> &Arc<StreamMeters> {
        &self.meters
    }

    /// Other processes that have streams too; `None`: nobody.
    pub fn set_elsewhere(&self, elsewhere: Option<Arc<dyn Elsewhere>>) {
        *self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner) = elsewhere;
    }

    /// Them.
    pub fn elsewhere(&self) -> Option<Arc<dyn Elsewhere>> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a stream under a new id. One that its owner has by the same name for a conversation ends. `None` while
    /// memory is short, while the process drains, and where the owner has as many as it may that run or are read.
    pub fn keep(&self, made: NewStream, now: Instant) -> Option<Arc<KeptStream>> {
        if self.pressure.is_short() || self.is_draining.load(Ordering::Relaxed) {
            return None;
        }
        let stream = self.adopt(StreamId::random()?, made, now)?;
        if let Some(elsewhere) = self.elsewhere() {
            elsewhere.begun(&stream);
        }
        Some(stream)
    }

    /// The same under an id that it has already, where that is free: a stream of another process.
    pub fn adopt(&self, id: StreamId, made: NewStream, now: Instant) -> Option<Arc<KeptStream>> {
        let mut state = self.state();
        let owned = state.by_owner.get(&made.owner);
        let known = |name| owned.and_then(|owned| owned.conversations.get(name)).copied();
        let before = made.conversation.as_deref().and_then(known);
        let before = before.and_then(|before| self.remove(&mut state, before));
        let streams = state.by_owner.get(&made.owner).map_or(0, |owned| owned.streams);
        let room = streams < made.keeps.streams || self.make_room(&mut state, &made.owner);
        let kept = (room && !state.streams.contains_key(&id)).then(|| {
            let stream = Arc::new(KeptStream::new(id, made, &self.meters, now));
            state.insert(&stream);
            self.meters.kept();
            stream
        });
        drop(state);
        if let Some(before) = before {
            before.end(End::Stopped);
        }
        kept
    }

    /// The stream of this id, if it is this owner's.
    pub fn find(&self, id: StreamId, owner: &Owner) -> Option<Arc<KeptStream>> {
        self.state().streams.get(&id).filter(|stream| stream.made().owner == *owner).cloned()
    }

    /// The stream of a conversation of this owner's.
    pub fn of_conversation(&self, name: &str, owner: &Owner) -> Option<Arc<KeptStream>> {
        let state = self.state();
        let id = state.by_owner.get(owner)?.conversations.get(name)?;
        state.streams.get(id).cloned()
    }

    /// All of them, in no order.
    pub fn all(&self) -> Vec<Arc<KeptStream>> {
        self.state().streams.values().cloned().collect()
    }

    /// No new ones are kept, and those that nobody reads end: nobody can come back to this process. Streams that other
    /// processes serve too go on where `is_shared`, since readers come back to those.
    pub fn drain(&self, is_shared: bool) {
        self.is_draining.store(true, Ordering::Relaxed);
        if !is_shared {
            self.all().iter().for_each(|stream| stream.drain());
        }
    }

    /// Gives up and forgets what is due. When to look again; `None` where nothing is left.
    pub fn sweep(&self, now: Instant) -> Option<Instant> {
        let (mut next, mut abandoned) = (now + LONGEST, Vec::new());
        let mut state = self.state();
        let all: Vec<_> = state.streams.values().cloned().collect();
        for stream in all {
            match stream.due(now) {
                Due::Later(at) => next = next.min(at),
                Due::Read => {}
                Due::Abandon => {
                    // It may go on where it is read: whoever comes back gets another mirror.
                    if stream.made().is_elsewhere {
                        drop(self.remove(&mut state, stream.id()));
                    }
                    abandoned.push(stream);
                }
                Due::Forget => drop(self.remove(&mut state, stream.id())),
            }
        }
        if self.pressure.is_short() {
            self.give_way(&mut state);
        }
        let is_empty = state.streams.is_empty();
        drop(state);
        for stream in abandoned {
            stream.end(End::Cut(Kind::StreamAbandoned));
        }
        (!is_empty).then(|| next.max(now + SHORTEST))
    }

    /// Sweeps for as long as anything is kept. Returns at once where somebody does so already.
    pub async fn sweep_on(self: Arc<Self>) {
        // Looked at again after each turn: a stream may come just as nothing was left.
        while !self.state().streams.is_empty() && !self.is_swept.swap(true, Ordering::Relaxed) {
            let _swept = Swept(&self.is_swept);
            while let Some(next) = self.sweep(Instant::now()) {
                tokio::time::sleep_until(next.into()).await;
            }
        }
    }

    /// Drops the owner's stream that ended first and is not read. False where there is none.
    fn make_room(&self, state: &mut State, owner: &Owner) -> bool {
        let theirs = state.streams.values().filter(|stream| stream.made().owner == *owner);
        let idle = theirs.filter_map(|stream| Some((stream.idle_since()?, stream.id())));
        let oldest = idle.min();
        oldest.is_some_and(|(_, id)| self.remove(state, id).is_some())
    }

    /// Memory is short: what ended and is not read goes, oldest first; where that is nothing, those that run hold less.
    fn give_way(&self, state: &mut State) {
        let mut over = self.meters.bytes() / GIVES_WAY;
        let idle = state.streams.values();
        let mut idle: Vec<_> =
            idle.filter_map(|stream| Some((stream.idle_since()?, stream.id()))).collect();
        if idle.is_empty() {
            state.streams.values().for_each(|stream| stream.log().shrink(LEAST));
        }
        idle.sort_unstable();
        for (_, id) in idle {
            let Some(gone) = self.remove(state, id) else { continue };
            over = over.saturating_sub(gone.log().held() as u64);
            if over == 0 {
                break;
            }
        }
    }

    fn remove(&self, state: &mut State, id: StreamId) -> Option<Arc<KeptStream>> {
        let stream = state.remove(id)?;
        self.meters.forgotten();
        Some(stream)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next one who keeps a stream has to sweep again: also where the task that did was dropped.
struct Swept<'a>(&'a AtomicBool);

impl Drop for Swept<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl State {
    fn insert(&mut self, stream: &Arc<KeptStream>) {
        let made = stream.made();
        let owned = self.by_owner.entry(made.owner.clone()).or_default();
        owned.streams += 1;
        if let Some(conversation) = &made.conversation {
            owned.conversations.insert(conversation.clone(), stream.id());
        }
        self.streams.insert(stream.id(), Arc::clone(stream));
    }

    fn remove(&mut self, id: StreamId) -> Option<Arc<KeptStream>> {
        let stream = self.streams.remove(&id)?;
        let made = stream.made();
        if let Some(owned) = self.by_owner.get_mut(&made.owner) {
            owned.streams -= 1;
            if let Some(conversation) = &made.conversation
                && owned.conversations.get(conversation) == Some(&id)
            {
                owned.conversations.remove(conversation);
            }
            if owned.streams == 0 {
                self.by_owner.remove(&made.owner);
            }
        }
        Some(stream)
    }
}
