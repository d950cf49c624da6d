//! Who waits for the next event of a name.

use std::task::Waker;

/// Wakers of those who wait, all taken at once. Whoever waits has a [`Ticket`], and gives it back when it goes: so there
/// are never more wakers than subscribers.
#[derive(Debug, Default)]
pub(super) struct Wakers {
    waiting: Vec<Option<Waker>>,
    free: Vec<usize>,
    /// How often all were taken: tickets of before are worth nothing.
    round: u64,
}

/// A place among those who wait.
#[derive(Debug, Default)]
pub(super) struct Ticket(Option<(u64, usize)>);

impl Wakers {
    /// Waits, or goes on waiting.
    pub(super) fn wait(&mut self, ticket: &mut Ticket, waker: &Waker) {
        if let Some(known) = self.place(ticket) {
            if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
                *known = Some(waker.clone());
            }
            return;
        }
        let waker = Some(waker.clone());
        let at = if let Some(at) = self.free.pop() {
            self.waiting[at] = waker;
            at
        } else {
            self.waiting.push(waker);
            self.waiting.len() - 1
        };
        *ticket = Ticket(Some((self.round, at)));
    }

    /// Waits no longer.
    pub(super) fn leave(&mut self, ticket: &mut Ticket) {
        if let Some(place) = self.place(ticket) {
            *place = None;
            if let Ticket(Some((_, at))) = std::mem::take(ticket) {
                self.free.push(at);
            }
        }
    }

    /// All that wait. To be woken when no lock is held any more: they look for what came as soon as they can.
    pub(super) fn take(&mut self) -> Vec<Option<Waker>> {
        self.round += 1;
        self.free.clear();
        let next = Vec::with_capacity(self.waiting.len());
        std::mem::replace(&mut self.waiting, next)
    }

    fn place(&mut self, ticket: &Ticket) -> Option<&mut Option<Waker>> {
        let (round, at) = ticket.0?;
        if round == self.round { self.waiting.get_mut(at) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_who_waits_is_woken_once_and_none_who_left() {
        let counts: [Arc<Count>; 3] = Default::default();
        let mut wakers = Wakers::default();
        let mut tickets: [Ticket; 3] = Default::default();
        for _ in 0..2 {
            for (count, ticket) in counts.iter().zip(&mut tickets) {
                wakers.wait(ticket, &Arc::clone(count).into());
            }
        }
        wakers.leave(&mut tickets[1]);
        wakers.leave(&mut tickets[1]);
        for waker in wakers.take().into_iter().flatten() {
            waker.wake();
        }
        // A ticket of the round before takes nobody's place.
        wakers.wait(&mut tickets[0], &Arc::clone(&counts[0]).into());
        wakers.leave(&mut tickets[2]);
        assert_eq!(wakers.take().into_iter().flatten().count(), 1);
        assert_eq!(counts.map(|count| count.0.load(Ordering::Relaxed)), [1, 0, 1]);
    }

    #[test]
    fn places_are_used_again() {
        let mut wakers = Wakers::default();
        for _ in 0..100 {
            let mut ticket = Ticket::default();
            wakers.wait(&mut ticket, Waker::noop());
            wakers.leave(&mut ticket);
        }
        assert_eq!(wakers.waiting.len(), 1);
    }
}
