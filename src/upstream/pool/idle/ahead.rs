//! Whether connections are opened ahead of need: not where they end unused.
//!
//! Over HTTP/2 a connection lives for an hour and can be asked whether it does. A server of HTTP/1.1 closes what
//! was idle for seconds, and what is opened in its place is closed again: a warm connection is a connect every few
//! seconds for as long as nobody asks. So those that ended unused are paid for by those that were used.

use std::cell::Cell;

/// So many may end unused, the minimum of two kept warm for half a minute where servers close after five
/// seconds, before a request has to pay for the next one.
const FREE: u32 = 16;

/// Connections that must be used for each one that was not: what is opened in vain is at most half of what is
/// needed.
const PRICE: u32 = 2;

/// One pool's account.
#[derive(Debug, Default)]
pub(in crate::upstream::pool) struct Ahead {
    owed: Cell<u32>,
}

impl Ahead {
    /// A connection ended that had carried nothing.
    pub(in crate::upstream::pool) fn in_vain(&self) {
        // Bounded, so that a long night is paid for in a short morning.
        self.owed.set((self.owed.get() + PRICE).min(2 * FREE * PRICE));
    }

    /// A connection carries its first request.
    pub(in crate::upstream::pool) fn used(&self) {
        self.owed.set(self.owed.get().saturating_sub(1));
    }

    /// Whether a connection that nobody needs yet may be opened.
    pub(in crate::upstream::pool) fn pays(&self) -> bool {
        self.owed.get() < FREE * PRICE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_free_and_each_further_one_is_paid_for() {
        let ahead = Ahead::default();
        for _ in 0..FREE {
            assert!(ahead.pays());
            ahead.in_vain();
        }
        assert!(!ahead.pays());
        let (mut used, mut vain) = (0, 0);
        while used < 1000 {
            if ahead.pays() {
                // Two at a time, as the minimum is kept.
                ahead.in_vain();
                ahead.in_vain();
                vain += 2;
            }
            ahead.used();
            used += 1;
        }
        assert!(vain <= used / PRICE + 2, "{vain}");
    }

    #[test]
    fn a_long_night_is_paid_for_soon() {
        let ahead = Ahead::default();
        (0..1_000_000).for_each(|_| ahead.in_vain());
        let used = std::iter::repeat_with(|| ahead.used()).take_while(|()| !ahead.pays()).count();
        assert!(used as u32 <= FREE * PRICE, "{used}");
    }
}
