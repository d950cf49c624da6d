//! One subscriber's events, as they come.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::cursor::Cursor;
use super::seat::{Card, Over, Seat};
use super::topic::{Reader, Topic};
use super::topics::Topics;
use crate::error::Kind;

/// A subscription. Dropped, it is over.
#[derive(Debug)]
pub struct Subscription {
    topics: Arc<Topics>,
    seat: Arc<Seat>,
    reader: Reader,
    /// Handed out and not counted yet: workers count together, and not for each event.
    delivered: u64,
}

impl Topics {
    /// Subscribes to a topic, and tells the id of the event in front of the first one: see [`Topic::read`].
    ///
    /// # Errors
    /// [`Kind::EventSubscribersFull`].
    pub fn subscribe(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        cursor: &Cursor,
        card: Card,
    ) -> Result<(Subscription, Box<str>), Kind> {
        let seat = self.sit(card, topic)?;
        let (reader, behind) = topic.read(cursor);
        seat.place.store(reader.place(), Relaxed);
        let topics = Arc::clone(self);
        Ok((Subscription { topics, seat, reader, delivered: 0 }, behind))
    }
}

impl Subscription {
    /// The next event, whole; `None` where the subscription ends in order.
    ///
    /// # Errors
    /// [`Kind::SubscriberLagged`], or why its client may not go on.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Kind>>> {
        let over = {
            let mut inbox = self.seat.inbox();
            if let Some(Over::NotAllowed(kind)) = inbox.over {
                return Poll::Ready(Some(Err(kind)));
            }
            if let Some(event) = inbox.direct.pop_front() {
                self.delivered += 1;
                return Poll::Ready(Some(Ok(event)));
            }
            inbox.wait(cx);
            inbox.over
        };
        match self.reader.poll_next(cx) {
            Poll::Ready(Ok(event)) => {
                self.delivered += 1;
                self.seat.place.store(self.reader.place(), Relaxed);
                Poll::Ready(Some(Ok(event)))
            }
            Poll::Ready(Err(_lagged)) => {
                self.topics.counts.dropped.fetch_add(1, Relaxed);
                Poll::Ready(Some(Err(Kind::SubscriberLagged)))
            }
            Poll::Pending => {
                self.count();
                // What was published before that comes first.
                if over.is_some() { Poll::Ready(None) } else { Poll::Pending }
            }
        }
    }

    fn count(&mut self) {
        if self.delivered > 0 {
            let delivered = std::mem::take(&mut self.delivered);
            self.topics.counts.delivered.fetch_add(delivered, Relaxed);
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.count();
        self.topics.leave(&self.seat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Events;
    use crate::events::draft::{Draft, Fields};
    use crate::events::name::Name;
    use crate::events::seat::NotSent;
    use std::task::Waker;
    use std::time::{Instant, SystemTime};

    fn card(request: &str) -> Card {
        let address = "127.0.0.1:9".to_owned();
        let since = SystemTime::UNIX_EPOCH;
        Card { request: request.into(), client: None, proof: None, address, since }
    }

    fn draft(id: Option<&str>, data: &str) -> Draft {
        Draft::new(Fields { id, data: Some(data), ..Fields::default() }).unwrap()
    }

    struct World {
        topics: Arc<Topics>,
        name: Name,
    }

    impl World {
        fn new(subscribers: usize) -> Self {
            let bounds = Events { subscribers, ..Events::default() };
            let topics = Arc::new(Topics::new("/events", bounds));
            Self { topics, name: Name::parse("news").unwrap() }
        }

        fn subscribe(&self, request: &str) -> Result<Subscription, Kind> {
            let topic = self.topics.topic(&self.name, Instant::now())?;
            self.topics.subscribe(&topic, &Cursor::Now, card(request)).map(|(it, _)| it)
        }

        fn publish(&self, data: &str) {
            self.topics.publish(&self.name, vec![draft(None, data)], Instant::now()).unwrap();
        }
    }

    fn next(subscription: &mut Subscription) -> Poll<Option<Result<Bytes, Kind>>> {
        subscription.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    fn given(subscription: &mut Subscription) -> String {
        match next(subscription) {
            Poll::Ready(Some(Ok(event))) => String::from_utf8(event.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn subscribers_are_bounded_and_who_leaves_makes_room() {
        let world = World::new(2);
        let both = [world.subscribe("a").unwrap(), world.subscribe("b").unwrap()];
        assert_eq!(world.subscribe("c").err(), Some(Kind::EventSubscribersFull));
        assert_eq!(world.topics.subscribers(), 2);
        drop(both);
        assert_eq!(world.topics.subscribers(), 0);
        assert!(world.subscribe("c").is_ok());
    }

    #[test]
    fn one_subscriber_is_sent_something_alone_without_moving_its_cursor() {
        let world = World::new(2);
        let (mut one, mut other) = (world.subscribe("a").unwrap(), world.subscribe("b").unwrap());
        world.publish("1");
        assert!(given(&mut one).ends_with("data: 1\n\n"));
        let seat = world.topics.seat("a").unwrap();
        let behind = seat.position();
        seat.send(&[draft(None, "for you")]).unwrap();
        assert_eq!(seat.send(&[draft(Some("x"), "")]), Err(NotSent::HasId));
        assert_eq!(given(&mut one), "data: for you\n\n");
        assert_eq!((seat.position(), behind.ends_with("-1")), (behind, true));
        assert!(next(&mut one).is_pending());
        assert!(given(&mut other).ends_with("data: 1\n\n") && next(&mut other).is_pending());
        let many: Vec<_> = (0..65).map(|_| draft(None, "x")).collect();
        assert_eq!(seat.send(&many), Err(NotSent::Full));
        drop(other);
        assert_eq!(world.topics.counts.delivered.load(Relaxed), 3);
    }

    #[test]
    fn a_subscription_ends_in_order_or_with_the_reason() {
        let world = World::new(9);
        let (mut one, mut other) = (world.subscribe("a").unwrap(), world.subscribe("b").unwrap());
        let not_allowed = Over::NotAllowed(Kind::SubscribeNotAllowed);
        world.topics.end_where(|seat| (seat.card.request == "a").then_some(not_allowed));
        assert_eq!(next(&mut one), Poll::Ready(Some(Err(Kind::SubscribeNotAllowed))));
        assert!(next(&mut other).is_pending());
        world.publish("the last");
        world.topics.end_all();
        assert!(given(&mut other).ends_with("data: the last\n\n"));
        assert_eq!(next(&mut other), Poll::Ready(None));
        assert_eq!(next(&mut one), Poll::Ready(Some(Err(Kind::SubscribeNotAllowed))), "the first");
        assert_eq!(next(&mut world.subscribe("c").unwrap()), Poll::Ready(None), "it came late");
    }

    #[test]
    fn who_falls_behind_is_dropped_and_counted() {
        let world = World::new(9);
        let mut slow = world.subscribe("a").unwrap();
        for nth in 0..1100 {
            world.publish(&nth.to_string());
        }
        assert_eq!(next(&mut slow), Poll::Ready(Some(Err(Kind::SubscriberLagged))));
        assert_eq!(world.topics.counts.dropped.load(Relaxed), 1);
    }
}
