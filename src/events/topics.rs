//! All names of one route, and who subscribes to them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::draft::Draft;
use super::elsewhere::Elsewhere;
use super::id::Epoch;
use super::name::Name;
use super::seat::{Card, Over, Seat};
use super::topic::{Keep, Topic};
use crate::config::Events;
use crate::error::Kind;

/// The names of one route, over all workers and reloads.
#[derive(Debug)]
pub struct Topics {
    /// The route's path.
    path: Box<str>,
    bounds: Mutex<Events>,
    by_name: Mutex<HashMap<Name, Arc<Topic>>>,
    /// By the ids of their requests.
    seats: Mutex<HashMap<Box<str>, Arc<Seat>>>,
    elsewhere: Mutex<Option<Arc<dyn Elsewhere>>>,
    /// Nobody subscribes any more: the process leaves, or the route is gone.
    is_over: AtomicBool,
    /// What happened.
    pub counts: Counts,
}

/// What happened on one route, counted up.
#[derive(Debug, Default)]
pub struct Counts {
    /// Events that were taken from publishers.
    pub published: AtomicU64,
    /// Events that were handed to subscribers, each as often as it was.
    pub delivered: AtomicU64,
    /// Subscribers who were too slow.
    pub dropped: AtomicU64,
}

/// What came of a publish.
#[derive(Debug, PartialEq, Eq)]
pub struct Published {
    /// The id of the last event.
    pub id: Box<str>,
    /// How many there were.
    pub count: usize,
}

impl Topics {
    /// Without names, of the route with this path.
    pub fn new(path: &str, bounds: Events) -> Self {
        Self {
            path: path.into(),
            bounds: Mutex::new(bounds),
            by_name: Mutex::default(),
            seats: Mutex::default(),
            elsewhere: Mutex::default(),
            is_over: AtomicBool::new(false),
            counts: Counts::default(),
        }
    }

    /// The route's path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What holds from now on; a name with more than it may keep gives it up when it is next published to.
    pub fn bound(&self, bounds: Events) {
        *lock(&self.bounds) = bounds;
    }

    /// What holds now.
    pub fn bounds(&self) -> Events {
        lock(&self.bounds).clone()
    }

    /// What a name keeps.
    pub fn keep(&self) -> Keep {
        let Events { history, bytes, .. } = self.bounds();
        Keep { history, bytes }
    }

    /// Names are shared with other processes from now on, or no longer.
    pub fn share(&self, elsewhere: Option<Arc<dyn Elsewhere>>) {
        *lock(&self.elsewhere) = elsewhere;
    }

    /// Where names are shared.
    pub fn elsewhere(&self) -> Option<Arc<dyn Elsewhere>> {
        lock(&self.elsewhere).clone()
    }

    /// The topic of a name, which begins with this where there is none. It does not expire while somebody holds it.
    ///
    /// # Errors
    /// [`Kind::EventNamesFull`].
    pub fn topic(&self, name: &Name, now: Instant) -> Result<Arc<Topic>, Kind> {
        let mut topics = lock(&self.by_name);
        if let Some(topic) = topics.get(name) {
            return Ok(Arc::clone(topic));
        }
        let bounds = self.bounds();
        if topics.len() >= bounds.names {
            sweep(&mut topics, &bounds, now);
            if topics.len() >= bounds.names {
                return Err(Kind::EventNamesFull);
            }
        }
        let topic = Arc::new(Topic::new(name.clone(), Epoch::random(), now));
        topics.insert(name.clone(), Arc::clone(&topic));
        Ok(topic)
    }

    /// A name that there is already.
    pub fn known(&self, name: &str) -> Option<Arc<Topic>> {
        lock(&self.by_name).get(name).cloned()
    }

    /// Publishes to a name of this process alone.
    ///
    /// # Errors
    /// [`Kind::EventNamesFull`], [`Kind::EventIdTaken`].
    pub fn publish(
        &self,
        name: &Name,
        drafts: Vec<Draft>,
        now: Instant,
    ) -> Result<Published, Kind> {
        let topic = self.topic(name, now)?;
        let count = drafts.len();
        let id = topic.append(drafts, self.keep(), now).map_err(|_taken| Kind::EventIdTaken)?;
        self.counts.published.fetch_add(count as u64, Relaxed);
        Ok(Published { id, count })
    }

    /// A seat for one more subscriber.
    ///
    /// # Errors
    /// [`Kind::EventSubscribersFull`].
    pub(super) fn sit(&self, card: Card, topic: &Arc<Topic>) -> Result<Arc<Seat>, Kind> {
        let most = self.bounds().subscribers;
        let mut seats = lock(&self.seats);
        if seats.len() >= most {
            return Err(Kind::EventSubscribersFull);
        }
        let seat = Arc::new(Seat::new(card, Arc::clone(topic)));
        seats.insert(seat.card.request.as_str().into(), Arc::clone(&seat));
        drop(seats);
        // Looked at last, so that who comes while all are ended is ended too.
        if self.is_over.load(Relaxed) {
            seat.end(Over::Left);
        }
        Ok(seat)
    }

    pub(super) fn leave(&self, seat: &Seat) {
        lock(&self.seats).remove(seat.card.request.as_str());
    }

    /// Who subscribes now, `most` of them.
    pub fn seats(&self, most: usize) -> Vec<Arc<Seat>> {
        lock(&self.seats).values().take(most).cloned().collect()
    }

    /// The subscriber whose request has this id.
    pub fn seat(&self, request: &str) -> Option<Arc<Seat>> {
        lock(&self.seats).get(request).cloned()
    }

    /// Who subscribes now, over all names.
    pub fn subscribers(&self) -> usize {
        lock(&self.seats).len()
    }

    /// How many names there are.
    pub fn names(&self) -> usize {
        lock(&self.by_name).len()
    }

    /// Ends the subscriptions that may not go on.
    pub fn end_where(&self, mut over: impl FnMut(&Seat) -> Option<Over>) {
        for seat in self.seats(usize::MAX) {
            if let Some(over) = over(&seat) {
                seat.end(over);
            }
        }
    }

    /// Ends all subscriptions in order, and each that comes later at once: whoever comes back comes to another process.
    pub fn end_all(&self) {
        self.is_over.store(true, Relaxed);
        self.end_where(|_| Some(Over::Left));
    }

    /// Forgets names that nobody has used for as long as `expire` says. While memory `is_short` those go too that nobody
    /// reads: their history is what can be done without.
    pub fn sweep(&self, now: Instant, is_short: bool) {
        let mut bounds = self.bounds();
        if is_short {
            bounds.expire = std::time::Duration::ZERO;
        }
        sweep(&mut lock(&self.by_name), &bounds, now);
    }
}

/// Nothing that holds one of these locks panics half-way through a change.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who holds a topic has it from the map, which is locked: one that nobody holds stays so.
fn sweep(topics: &mut HashMap<Name, Arc<Topic>>, bounds: &Events, now: Instant) {
    topics.retain(|_, topic| Arc::strong_count(topic) > 1 || !topic.is_idle(bounds.expire, now));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::cursor::Cursor;
    use crate::events::draft::Fields;

    fn topics(bounds: Events) -> Topics {
        Topics::new("/events", bounds)
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn draft(id: Option<&str>) -> Vec<Draft> {
        vec![Draft::new(Fields { id, data: Some("x"), ..Fields::default() }).unwrap()]
    }

    #[test]
    fn names_are_bounded_and_idle_ones_make_room() {
        let bounds = Events { names: 2, ..Events::default() };
        let (topics, start) = (topics(bounds.clone()), Instant::now());
        topics.publish(&name("a"), draft(None), start).unwrap();
        let (reader, _) = topics.topic(&name("b"), start).unwrap().read(&Cursor::Now);
        assert_eq!(topics.publish(&name("c"), draft(None), start), Err(Kind::EventNamesFull));
        topics.publish(&name("a"), draft(None), start).unwrap();
        // `a` is idle then; `b` is read.
        let later = start + bounds.expire;
        let epoch = topics.known("a").unwrap().epoch();
        topics.publish(&name("c"), draft(None), later).unwrap();
        assert!(topics.known("a").is_none() && topics.known("b").is_some());
        drop(reader);
        topics.sweep(later + bounds.expire * 2, false);
        assert_eq!(topics.names(), 0);
        topics.publish(&name("a"), draft(None), later).unwrap();
        assert_ne!(topics.known("a").unwrap().epoch(), epoch, "another life");
    }

    #[test]
    fn a_name_does_not_expire_under_its_publisher() {
        let (topics, start) = (topics(Events::default()), Instant::now());
        let topic = topics.topic(&name("a"), start).unwrap();
        topics.sweep(start + topics.bounds().expire * 2, true);
        assert!(Arc::ptr_eq(&topic, &topics.known("a").unwrap()));
    }

    #[test]
    fn while_memory_is_short_names_go_that_nobody_reads() {
        let (topics, now) = (topics(Events::default()), Instant::now());
        topics.publish(&name("a"), draft(None), now).unwrap();
        let (_reader, _) = topics.topic(&name("b"), now).unwrap().read(&Cursor::Now);
        topics.sweep(now, false);
        assert_eq!(topics.names(), 2);
        topics.sweep(now, true);
        assert!(topics.known("a").is_none() && topics.known("b").is_some());
    }

    #[test]
    fn an_id_that_is_still_there_is_not_published_again() {
        let (topics, now) = (topics(Events::default()), Instant::now());
        let first = topics.publish(&name("a"), draft(Some("order-5")), now).unwrap();
        assert_eq!(first, Published { id: "order-5".into(), count: 1 });
        let again = topics.publish(&name("a"), draft(Some("order-5")), now);
        assert_eq!(again, Err(Kind::EventIdTaken));
        assert!(topics.publish(&name("b"), draft(Some("order-5")), now).is_ok());
        assert_eq!(topics.counts.published.load(Relaxed), 2);
    }
}
