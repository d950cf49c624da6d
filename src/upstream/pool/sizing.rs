//! How many connections to open now: a pure decision over what the pool sees.

/// What the pool sees.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::upstream) struct View {
    /// Connections that take new streams and are to stay.
    pub(super) staying: usize,
    /// Connections that take new streams until they are replaced.
    pub(super) retiring: usize,
    /// Connections whose peer is silent: they take new streams only where no other does.
    pub(in crate::upstream) suspect: usize,
    /// Connections on the way.
    pub(in crate::upstream) connecting: usize,
    /// Streams that could be leased now.
    pub(in crate::upstream) free: usize,
    /// Streams that the open connections could carry together.
    pub(in crate::upstream) capacity: usize,
    /// Requests that wait for a stream.
    pub(in crate::upstream) waiting: usize,
    /// Streams that one more connection can be expected to carry.
    pub(super) per_connection: usize,
    /// Connections kept warm whatever the load.
    pub(in crate::upstream) min: usize,
    /// Connections at most.
    pub(in crate::upstream) max: usize,
    /// A connect failed a moment ago and its backoff has not passed.
    pub(super) backing_off: bool,
}

/// Connects at once, whatever waits: each costs the worker up to a millisecond of computing for TLS, and
/// streams that are under way go on between any two of them.
const AT_ONCE: usize = 16;

/// Connections to start now. While backing off only a request that nothing else can serve starts
/// one, so that a dead upstream is asked once at a time and answers its callers at once.
pub(in crate::upstream) fn wanted(view: View) -> usize {
    let open = view.staying + view.retiring;
    let ahead = view.staying + view.connecting;
    // Suspects may all come back: what replaces them goes no further beyond the maximum than the minimum.
    let beside = (view.max + view.min).saturating_sub(ahead + view.suspect);
    let room = view.max.saturating_sub(ahead).min(beside);
    if view.backing_off {
        return usize::from(view.waiting > 0 && open == 0 && view.connecting == 0).min(room);
    }
    let for_min = view.min.saturating_sub(view.staying);
    let for_waiting = view.waiting.div_ceil(view.per_connection.max(1));
    // A quarter of the streams stays free where connections carry many; where each carries one
    // (HTTP/1.1), the minimum stays free.
    let headroom = if view.per_connection > 1 {
        usize::from(view.free * 4 < view.capacity)
    } else {
        view.min.saturating_sub(view.free)
    };
    let needed = for_min.max(for_waiting + headroom);
    // Growth is in proportion to who waits: where each connection carries one stream (HTTP/1.1) and
    // thousands wait, sixteen at once would take longer than they may wait.
    let at_once = AT_ONCE.max(needed.div_ceil(4)).saturating_sub(view.connecting);
    needed.saturating_sub(view.connecting).min(room).min(at_once)
}

/// Whether an idle connection with so many `free` streams may go: without it, nothing would be opened in
/// its place.
pub(super) fn can_spare(view: View, free: usize) -> bool {
    let without = View {
        staying: view.staying.saturating_sub(1),
        free: view.free.saturating_sub(free),
        capacity: view.capacity.saturating_sub(free),
        backing_off: false,
        ..view
    };
    view.connecting == 0 && wanted(without) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: View = View {
        staying: 2,
        retiring: 0,
        suspect: 0,
        connecting: 0,
        free: 128,
        capacity: 128,
        waiting: 0,
        per_connection: 64,
        min: 2,
        max: 64,
        backing_off: false,
    };

    #[test]
    fn a_quiet_pool_opens_nothing() {
        assert_eq!(wanted(QUIET), 0);
    }

    #[test]
    fn an_empty_pool_opens_its_minimum_at_once_and_only_once() {
        let empty = View { staying: 0, free: 0, capacity: 0, ..QUIET };
        assert_eq!(wanted(empty), 2);
        assert_eq!(wanted(View { connecting: 2, ..empty }), 0);
    }

    #[test]
    fn it_grows_before_the_last_stream_is_taken() {
        assert_eq!(wanted(View { free: 32, ..QUIET }), 0);
        assert_eq!(wanted(View { free: 31, ..QUIET }), 1);
        assert_eq!(wanted(View { free: 31, connecting: 1, ..QUIET }), 0);
    }

    #[test]
    fn those_who_wait_get_as_many_connections_as_they_fill() {
        let full = View { free: 0, waiting: 130, ..QUIET };
        assert_eq!(wanted(full), 4, "three to carry them, one to stay ahead");
    }

    #[test]
    fn a_retiring_connection_is_replaced_while_it_still_serves() {
        assert_eq!(wanted(View { staying: 1, retiring: 1, ..QUIET }), 1);
    }

    #[test]
    fn suspects_are_replaced_ahead_and_however_often_they_come_back_the_maximum_holds() {
        let silent = View { staying: 0, suspect: 2, free: 0, capacity: 0, ..QUIET };
        assert_eq!(wanted(silent), 2);
        assert_eq!(wanted(View { staying: 1, suspect: 1, free: 64, capacity: 64, ..silent }), 1);
        assert_eq!(wanted(View { suspect: 65, ..silent }), 1);
        assert_eq!(wanted(View { suspect: 66, waiting: 9, ..silent }), 0);
    }

    #[test]
    fn the_maximum_holds_and_a_retiring_connection_does_not_count_against_it() {
        let full = View { staying: 64, free: 0, capacity: 4096, waiting: 9, ..QUIET };
        assert_eq!(wanted(full), 0);
        assert_eq!(wanted(View { staying: 63, retiring: 1, ..full }), 1);
    }

    #[test]
    fn http1_keeps_its_minimum_idle() {
        let http1 = View { per_connection: 1, staying: 10, capacity: 10, free: 0, ..QUIET };
        assert_eq!(wanted(http1), 2);
        assert_eq!(wanted(View { waiting: 3, ..http1 }), 5);
        assert_eq!(wanted(View { free: 2, ..http1 }), 0);
    }

    #[test]
    fn growth_is_in_proportion_to_who_waits_a_part_of_it_at_once() {
        let burst = View { free: 0, waiting: 3872, ..QUIET };
        assert_eq!(wanted(burst), 16, "of 62");
        assert_eq!(wanted(View { connecting: 16, ..burst }), 0);
        assert_eq!(wanted(View { staying: 3, connecting: 15, waiting: 3808, ..burst }), 1);
        let http1 = View { per_connection: 1, max: 4096, staying: 2, free: 0, ..burst };
        assert_eq!(wanted(http1), 969, "of 3,874");
    }

    #[test]
    fn what_is_idle_goes_unless_another_would_be_opened_for_it() {
        let burst = View { staying: 64, free: 4096, capacity: 4096, ..QUIET };
        assert!(can_spare(burst, 64));
        assert!(can_spare(View { staying: 3, free: 192, capacity: 192, ..QUIET }, 64));
        assert!(!can_spare(View { free: 128, capacity: 128, ..QUIET }, 64), "the minimum stays");
        let busy = View { staying: 4, free: 100, capacity: 256, ..QUIET };
        assert!(!can_spare(busy, 64), "36 of 192 would be free");
        assert!(!can_spare(View { connecting: 1, ..burst }, 64));
        let http1 = View { per_connection: 1, staying: 9, capacity: 9, free: 3, ..QUIET };
        assert!(can_spare(http1, 1));
        assert!(!can_spare(View { free: 2, ..http1 }, 1));
    }

    #[test]
    fn a_dead_upstream_is_asked_by_one_at_a_time() {
        let dead =
            View { staying: 0, free: 0, capacity: 0, backing_off: true, waiting: 50, ..QUIET };
        assert_eq!(wanted(dead), 1);
        assert_eq!(wanted(View { connecting: 1, ..dead }), 0);
        assert_eq!(wanted(View { waiting: 0, ..dead }), 0);
    }
}
