//! The connections of the admin listener: so many, and whoever moved nothing for longest leaves first.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// All connections. Clones share them.
#[derive(Clone)]
pub(super) struct Connections {
    activities: Arc<Mutex<Vec<Arc<Activity>>>>,
    most: usize,
    began: Instant,
}

/// One connection, as others see it.
pub(super) struct Activity {
    began: Instant,
    /// When a byte moved, in nanoseconds since `began`.
    moved: AtomicU64,
    /// Its answer waits for its client to take it.
    blocked: AtomicBool,
    /// Something is being done for it that it should hear the end of.
    busy: AtomicBool,
    /// How many requests were begun on it.
    requests: AtomicU64,
    leave: Notify,
}

/// A connection's place. Dropped, it is free.
pub(super) struct ConnectionGuard {
    connections: Connections,
    activity: Arc<Activity>,
}

impl Connections {
    /// For `most` connections.
    pub(super) fn new(most: usize) -> Self {
        Self { activities: Arc::default(), most: most.max(1), began: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Activity>>> {
        self.activities.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection. `None` where all others are busy.
    pub(super) fn enter(&self) -> Option<ConnectionGuard> {
        if self.lock().len() >= self.most && !self.make_room() {
            return None;
        }
        let activity = Arc::new(Activity {
            began: self.began,
            moved: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            leave: Notify::new(),
        });
        activity.moved();
        self.lock().push(Arc::clone(&activity));
        Some(ConnectionGuard { connections: self.clone(), activity })
    }

    /// Tells the connection to leave that moved nothing for longest; `false` where all are busy.
    pub(super) fn make_room(&self) -> bool {
        self.dismiss(|_| true)
    }

    /// The same of those that do not take their answer.
    pub(super) fn make_a_blocked_one_leave(&self) -> bool {
        self.dismiss(|activity| activity.blocked.load(Ordering::Relaxed))
    }

    fn dismiss(&self, may_leave: impl Fn(&Activity) -> bool) -> bool {
        let mut activities = self.lock();
        let idle = activities
            .iter()
            .enumerate()
            .filter(|(_, activity)| !activity.busy.load(Ordering::Relaxed) && may_leave(activity));
        let oldest = idle.min_by_key(|(_, activity)| activity.moved.load(Ordering::Relaxed));
        let Some((nth, _)) = oldest else { return false };
        // Its place is free at once: it gets no turn before it is told.
        activities.swap_remove(nth).leave.notify_one();
        true
    }
}

impl ConnectionGuard {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.connections.lock().retain(|activity| !Arc::ptr_eq(activity, &self.activity));
    }
}

impl Activity {
    /// Bytes came or went.
    pub(super) fn moved(&self) {
        let since = Instant::now().saturating_duration_since(self.began);
        self.moved.store(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Its client does not take what is written to it, or does again.
    pub(super) fn blocked(&self, is: bool) {
        self.blocked.store(is, Ordering::Relaxed);
    }

    /// A request begins on it.
    pub(super) fn begin(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// How many began.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// It stays until the guard is dropped.
    pub(super) fn busy(&self) -> Busy<'_> {
        self.busy.store(true, Ordering::Relaxed);
        Busy(self)
    }

    /// Until it is to leave.
    pub(super) async fn told(&self) {
        self.leave.notified().await;
    }
}

/// See [`Activity::busy`].
pub(super) struct Busy<'a>(&'a Activity);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_told(connection_guard: &ConnectionGuard) -> bool {
        let told = std::pin::pin!(connection_guard.activity.told());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        told.poll(&mut context).is_ready()
    }

    #[test]
    fn a_new_one_is_let_in_and_who_moved_nothing_for_longest_leaves() {
        let connections = Connections::new(2);
        let (first, second) = (connections.enter().unwrap(), connections.enter().unwrap());
        first.activity.moved();
        let _third = connections.enter().unwrap();
        assert!(!is_told(&first) && is_told(&second));
        assert_eq!(connections.lock().len(), 2);
        drop(second);
        assert_eq!(connections.lock().len(), 2, "its place was given on already");
        drop(first);
        assert_eq!(connections.lock().len(), 1);
    }

    #[test]
    fn who_is_busy_stays() {
        let connections = Connections::new(2);
        let (first, second) = (connections.enter().unwrap(), connections.enter().unwrap());
        let busy = first.activity.busy();
        let third = connections.enter().unwrap();
        assert!(!is_told(&first) && is_told(&second));
        let _also = third.activity.busy();
        assert!(connections.enter().is_none());
        drop(busy);
        assert!(connections.enter().is_some());
    }

    #[test]
    fn who_takes_its_answer_does_not_leave_for_a_page() {
        let connections = Connections::new(9);
        let (first, second) = (connections.enter().unwrap(), connections.enter().unwrap());
        assert!(!connections.make_a_blocked_one_leave());
        second.activity.blocked(true);
        assert!(connections.make_a_blocked_one_leave());
        assert!(!is_told(&first) && is_told(&second));
    }
}
