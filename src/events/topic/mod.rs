//! One name: its last events, and who reads them.
//!
//! `ring` has the events, `wakers` those who wait for the next one. Each subscriber is a place in the ring, so what is
//! published is encoded once and held once, whatever their number; one that falls behind the ring is dropped.

mod ring;
mod wakers;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use ring::{Keep, Lagged, Start};

use super::cursor::Cursor;
use super::draft::Draft;
use super::id::{Epoch, Stamp};
use super::name::Name;
use ring::Ring;
use wakers::{Ticket, Wakers};

/// One name, as all workers have it.
#[derive(Debug)]
pub struct Topic {
    name: Name,
    state: Mutex<State>,
    subscribers: AtomicUsize,
}

#[derive(Debug)]
struct State {
    ring: Ring,
    wakers: Wakers,
    /// When it was published to, or somebody read it, last.
    used: Instant,
}

/// An id that its publisher chose is that of an event which is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken;

/// One who reads a name. Dropped, it leaves.
#[derive(Debug)]
pub struct Reader {
    topic: Arc<Topic>,
    place: u64,
    ticket: Ticket,
}

impl Topic {
    /// A name that begins at `now`.
    pub fn new(name: Name, epoch: Epoch, now: Instant) -> Self {
        let state = State { ring: Ring::new(epoch), wakers: Wakers::default(), used: now };
        Self { name, state: Mutex::new(state), subscribers: AtomicUsize::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Who reads it now.
    pub fn subscribers(&self) -> usize {
        self.subscribers.load(Relaxed)
    }

    /// Events that it holds, and what they take in bytes.
    pub fn held(&self) -> (usize, usize) {
        let state = self.state();
        (state.ring.len(), state.ring.bytes())
    }

    /// What tells this life of the name from others.
    pub fn epoch(&self) -> Epoch {
        self.state().ring.epoch()
    }

    /// The stamp of the last event of this life, where there was one.
    pub fn last(&self) -> Option<Stamp> {
        self.state().ring.last()
    }

    /// Adds events in this order, with none of another publisher's between them; all of them or none. The id of the
    /// last one.
    ///
    /// # Errors
    /// A publisher chose an id that an event has which is still there.
    pub fn append(&self, drafts: Vec<Draft>, keep: Keep, now: Instant) -> Result<Box<str>, Taken> {
        let (id, wakers) = {
            let mut state = self.state();
            check_chosen(&state.ring, &drafts)?;
            let last = match state.ring.last() {
                Some(Stamp::Count(last)) => last,
                _ => 0,
            };
            let stamps = (last + 1..).map(Stamp::Count);
            let id = state.ring.push(stamps.zip(drafts), keep);
            state.used = now;
            (id, state.wakers.take())
        };
        wake(wakers);
        Ok(id)
    }

    /// Adds events that elsewhere got their places, as they come from there. Events that are not above what is there
    /// are passed over: they were had before.
    pub fn mirror(&self, events: Vec<(Stamp, Draft)>, keep: Keep, now: Instant) {
        let wakers = {
            let mut state = self.state();
            let mut last = state.ring.last();
            let fresh = events.into_iter().filter(|(stamp, _)| {
                let is_new = last.is_none_or(|last| last < *stamp);
                last = last.max(Some(*stamp));
                is_new
            });
            let fresh: Vec<_> = fresh.collect();
            if fresh.is_empty() {
                return;
            }
            state.ring.push(fresh, keep);
            state.used = now;
            state.wakers.take()
        };
        wake(wakers);
    }

    /// The name begins anew, as it did elsewhere; nothing where it is this life already. Readers at the end go on; those
    /// who were behind are dropped, and come back to a gap that is told.
    pub fn restart(&self, epoch: Epoch) {
        let wakers = {
            let mut state = self.state();
            if state.ring.epoch() == epoch {
                return;
            }
            state.ring.restart(epoch);
            state.wakers.take()
        };
        wake(wakers);
    }

    /// Events that elsewhere have their places were missed here. All readers are dropped, and come back to a gap that is
    /// told.
    pub fn skip(&self) {
        let wakers = {
            let mut state = self.state();
            state.ring.skip();
            state.wakers.take()
        };
        wake(wakers);
    }

    /// A reader from there on, and the id of the event in front.
    pub fn read(self: &Arc<Self>, cursor: &Cursor) -> (Reader, Box<str>) {
        let Start { place, behind } = self.state().ring.start(cursor);
        self.subscribers.fetch_add(1, Relaxed);
        (Reader { topic: Arc::clone(self), place, ticket: Ticket::default() }, behind)
    }

    /// The id of the event in front of a place, as far as that is known.
    pub(super) fn id_behind(&self, place: u64) -> Box<str> {
        self.state().ring.id_behind(place)
    }

    /// Nobody has read it or published to it for so long.
    pub(super) fn is_idle(&self, most: Duration, now: Instant) -> bool {
        self.subscribers() == 0 && now.saturating_duration_since(self.state().used) >= most
    }
}

impl Reader {
    /// The next event.
    ///
    /// # Errors
    /// It is not there any more: the reader was too slow.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Lagged>> {
        let mut state = self.topic.state();
        match state.ring.get(self.place) {
            Ok(Some(event)) => {
                let event = event.clone();
                self.place += 1;
                Poll::Ready(Ok(event))
            }
            Ok(None) => {
                state.wakers.wait(&mut self.ticket, cx.waker());
                Poll::Pending
            }
            Err(lagged) => Poll::Ready(Err(lagged)),
        }
    }

    /// The place of the event that it is given next.
    pub(super) fn place(&self) -> u64 {
        self.place
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.topic.state();
        state.wakers.leave(&mut self.ticket);
        state.used = Instant::now();
        self.topic.subscribers.fetch_sub(1, Relaxed);
    }
}

/// None is there already, and none comes twice among these.
fn check_chosen(ring: &Ring, drafts: &[Draft]) -> Result<(), Taken> {
    let mut chosen: Vec<_> = drafts.iter().filter_map(|draft| draft.id.as_deref()).collect();
    chosen.sort_unstable();
    let twice = chosen.windows(2).any(|pair| pair[0] == pair[1]);
    if twice || chosen.iter().any(|id| ring.has_chosen(id)) { Err(Taken) } else { Ok(()) }
}

/// Outside the lock: who is woken looks for it.
fn wake(wakers: Vec<Option<std::task::Waker>>) {
    for waker in wakers.into_iter().flatten() {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::draft::Fields;
    use std::task::Waker;

    const KEEP: Keep = Keep { history: 1000, bytes: 1 << 20 };

    fn topic() -> Arc<Topic> {
        Arc::new(Topic::new(Name::parse("news").unwrap(), Epoch(7), Instant::now()))
    }

    fn draft(id: Option<&str>, data: &str) -> Draft {
        Draft::new(Fields { id, data: Some(data), ..Fields::default() }).unwrap()
    }

    fn publish(topic: &Topic, data: &str) -> Box<str> {
        topic.append(vec![draft(None, data)], KEEP, Instant::now()).unwrap()
    }

    fn next(reader: &mut Reader) -> Poll<Result<Bytes, Lagged>> {
        reader.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn all_readers_are_given_the_same_bytes_which_are_there_once() {
        let topic = topic();
        let mut readers = [0, 1, 2].map(|_| topic.read(&Cursor::Now).0);
        assert!(readers.iter_mut().all(|reader| next(reader).is_pending()));
        publish(&topic, "a");
        let given = readers.each_mut().map(|reader| match next(reader) {
            Poll::Ready(Ok(event)) => event,
            other => panic!("{other:?}"),
        });
        assert_eq!(given[0], "id: 0000000000000007-1\ndata: a\n\n");
        assert!(given.iter().all(|event| event.as_ptr() == given[0].as_ptr()));
        assert_eq!(topic.subscribers(), 3);
        drop(readers);
        assert_eq!(topic.subscribers(), 0);
    }

    #[test]
    fn a_reader_behind_the_ring_is_told_so_and_others_are_not() {
        let topic = topic();
        let (mut slow, mut quick) = (topic.read(&Cursor::Now).0, topic.read(&Cursor::Now).0);
        for nth in 0..1100 {
            publish(&topic, &nth.to_string());
            assert!(matches!(next(&mut quick), Poll::Ready(Ok(_))));
        }
        assert_eq!(next(&mut slow), Poll::Ready(Err(Lagged)));
        assert_eq!(&*topic.id_behind(quick.place()), "0000000000000007-1100");
    }

    #[test]
    fn a_batch_is_published_whole_or_not_at_all() {
        let topic = topic();
        publish(&topic, "a");
        let both = vec![draft(None, "b"), draft(Some("x"), "c")];
        assert_eq!(topic.append(both, KEEP, Instant::now()).as_deref(), Ok("x"));
        let again = vec![draft(None, "d"), draft(Some("x"), "e")];
        assert_eq!(topic.append(again, KEEP, Instant::now()), Err(Taken));
        let twice = vec![draft(Some("y"), "d"), draft(Some("y"), "e")];
        assert_eq!(topic.append(twice, KEEP, Instant::now()), Err(Taken));
        assert_eq!(topic.held().0, 3);
        assert_eq!(&*publish(&topic, "f"), "0000000000000007-4");
    }

    #[test]
    fn what_comes_from_elsewhere_a_second_time_is_passed_over() {
        let topic = topic();
        let (mut reader, _) = topic.read(&Cursor::Now);
        let event = |ms, nth| (Stamp::Redis(ms, nth), draft(None, &format!("{ms}-{nth}")));
        topic.mirror(vec![event(5, 0), event(5, 1)], KEEP, Instant::now());
        topic.mirror(
            vec![event(5, 1), event(5, 0), event(6, 0), event(6, 0)],
            KEEP,
            Instant::now(),
        );
        let mut seen = Vec::new();
        while let Poll::Ready(Ok(event)) = next(&mut reader) {
            seen.extend_from_slice(&event);
        }
        let expected =
            ["5-0", "5-1", "6-0"].map(|id| format!("id: 0000000000000007-{id}\ndata: {id}\n\n"));
        assert_eq!(String::from_utf8(seen).unwrap(), expected.concat());
        let (_, behind) = topic.read(&Cursor::After("0000000000000007-5-1".into()));
        assert_eq!(&*behind, "0000000000000007-5-1");
    }

    #[test]
    fn who_would_miss_events_is_dropped_and_told_when_it_comes_back() {
        let topic = topic();
        let (mut reader, _) = topic.read(&Cursor::Now);
        let id = publish(&topic, "a");
        assert!(matches!(next(&mut reader), Poll::Ready(Ok(_))));
        topic.skip();
        topic.mirror(vec![(Stamp::Redis(9, 0), draft(None, "c"))], KEEP, Instant::now());
        assert_eq!(next(&mut reader), Poll::Ready(Err(Lagged)));
        let (mut again, behind) = topic.read(&Cursor::After(id));
        assert_eq!(&*behind, "earliest");
        assert!(
            matches!(next(&mut again), Poll::Ready(Ok(event)) if event.ends_with(b"data: c\n\n"))
        );
    }

    #[test]
    fn an_epoch_from_elsewhere_begins_the_name_anew() {
        let topic = topic();
        let (mut reader, _) = topic.read(&Cursor::Now);
        topic.restart(Epoch(7));
        publish(&topic, "a");
        assert!(matches!(next(&mut reader), Poll::Ready(Ok(_))));
        topic.restart(Epoch(8));
        assert!(next(&mut reader).is_pending(), "it was at the end");
        let (_, behind) = topic.read(&Cursor::After("0000000000000007-1".into()));
        assert_eq!((&*behind, topic.epoch()), ("earliest", Epoch(8)));
    }
}
