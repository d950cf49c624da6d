//! The names of all routes of a configuration.

use std::sync::Arc;

use super::seat::{Over, Seat};
use super::topics::Topics;
use crate::config::{Route, RouteId};

/// Who has which names, by the numbers of a configuration's routes.
#[derive(Debug, Clone, Default)]
pub struct EventRoutes(Arc<[Option<Arc<Topics>>]>);

impl EventRoutes {
    /// Of a configuration's routes. Names of those of `before` with the same paths go on; nothing of them is changed until
    /// [`EventRoutes::succeed`].
    pub fn new(routes: &[Route], before: Option<&EventRoutes>) -> Self {
        let topics = routes.iter().map(|route| {
            let bounds = route.events.as_deref()?;
            let known = before.and_then(|before| before.all().find(|it| it.path() == route.path));
            Some(
                known
                    .cloned()
                    .unwrap_or_else(|| Arc::new(Topics::new(&route.path, bounds.clone()))),
            )
        });
        Self(topics.collect())
    }

    /// The configuration is in force: its bounds hold, routes that are gone end their subscriptions, and so does `over`
    /// where a client may not go on.
    pub fn succeed(
        &self,
        routes: &[Route],
        before: &EventRoutes,
        mut over: impl FnMut(RouteId, &Seat) -> Option<Over>,
    ) {
        for topics in before.all() {
            if !self.all().any(|goes_on| Arc::ptr_eq(goes_on, topics)) {
                topics.end_all();
            }
        }
        for (nth, (route, topics)) in routes.iter().zip(&*self.0).enumerate() {
            let (Some(bounds), Some(topics)) = (&route.events, topics) else { continue };
            topics.bound((**bounds).clone());
            topics.end_where(|seat| over(RouteId(nth), seat));
        }
    }

    /// Those of a route.
    pub fn get(&self, route: RouteId) -> Option<&Arc<Topics>> {
        self.0.get(route.0)?.as_ref()
    }

    /// Of all routes that have names.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Topics>> {
        self.0.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Events, Target, UpstreamId};

    fn route(path: &str, history: usize) -> Route {
        Route::with_events(path, Events { history, ..Events::default() })
    }

    #[test]
    fn names_go_on_under_the_same_path_and_what_changes_waits_until_it_is_in_force() {
        let plain = Route::new("/v1", Target::Upstream(UpstreamId(0)));
        let before = EventRoutes::new(&[route("/a", 1), route("/b", 1)], None);
        let routes = [plain, route("/b", 2), route("/c", 3)];
        let after = EventRoutes::new(&routes, Some(&before));
        let history = |of: &EventRoutes, nth| of.get(RouteId(nth)).unwrap().bounds().history;
        assert!(after.get(RouteId(0)).is_none() && after.get(RouteId(3)).is_none());
        assert!(Arc::ptr_eq(after.get(RouteId(1)).unwrap(), before.get(RouteId(1)).unwrap()));
        assert_eq!((history(&after, 1), history(&after, 2)), (1, 3));
        after.succeed(&routes, &before, |_, _| None);
        assert_eq!((history(&after, 1), history(&after, 2)), (2, 3));
    }
}
