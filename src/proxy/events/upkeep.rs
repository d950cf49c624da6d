//! What is done for named events beside requests: names expire, and subscriptions end that may not go on.

use std::time::Instant;

use crate::admit::Directory;
use crate::config::RouteId;
use crate::events::{Over, Seat};
use crate::proxy::Proxy;

impl Proxy {
    /// To be called every few seconds by one worker. A client's key may have expired meanwhile.
    pub fn tidy_events(&self, now: Instant) {
        let is_short = self.admission.pressure().is_short();
        for (nth, _) in self.config.routes.iter().enumerate() {
            let Some(topics) = self.events.get(RouteId(nth)) else { continue };
            topics.sweep(now, is_short);
            if let Some(clients) = &self.clients {
                topics.end_where(|seat| may_not_go_on(clients, RouteId(nth), seat));
            }
        }
    }
}

/// Why a subscription on a route may not go on, where it may not. Its client is looked for anew: it may have another
/// name, or fewer rights.
pub fn may_not_go_on(clients: &Directory, route: RouteId, seat: &Seat) -> Option<Over> {
    let may = clients.still(seat.card.proof.as_ref()).and_then(|caller| {
        caller.may_use(route)?;
        caller.may_subscribe(seat.topic().name().as_str())
    });
    may.err().map(Over::NotAllowed)
}
