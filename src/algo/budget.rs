//! How many retries and hedges a group affords: a share of its requests each, so that they cannot become
//! the outage.

/// Retries that may be made on top of the share. Without it a proxy with little traffic could make
/// none; with it a burst of failures costs this many at most.
const RESERVE: u64 = 10;

/// What one retry costs, so that a request can pay in hundredths of one.
const RETRY: u64 = 100;

/// A token bucket that requests fill and retries empty; time plays no part, so that it is the same at any
/// rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    percent: u64,
    saved: u64,
}

impl Budget {
    /// Full: `percent` retries for each hundred requests, and the reserve.
    pub(crate) fn new(percent: u32) -> Self {
        Self { percent: u64::from(percent), saved: if percent == 0 { 0 } else { RESERVE * RETRY } }
    }

    /// This one, with no more saved than the one before it had.
    pub(crate) fn after(self, before: Self) -> Self {
        // One that was for nothing has saved nothing, which says nothing.
        if before.percent == 0 {
            self
        } else {
            Self { saved: self.saved.min(before.saved), ..self }
        }
    }

    /// A request came.
    pub(crate) fn earn(&mut self) {
        self.saved = (self.saved + self.percent).min(RESERVE * RETRY);
    }

    /// A retry is wanted; `false` where it is not afforded.
    pub(crate) fn spend(&mut self) -> bool {
        let left = self.saved.checked_sub(RETRY);
        self.saved = left.unwrap_or(self.saved);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Retries that are had where each of `requests` wants `each`.
    fn had(mut budget: Budget, requests: u64, each: u64) -> u64 {
        let mut had = 0;
        for _ in 0..requests {
            budget.earn();
            had += (0..each).filter(|_| budget.spend()).count() as u64;
        }
        had
    }

    #[test]
    fn where_all_fails_retries_are_their_share_of_requests_and_the_reserve() {
        // The first request finds the reserve full and earns nothing.
        assert_eq!(had(Budget::new(20), 1_001, 3), 200 + RESERVE);
        assert_eq!(had(Budget::new(1), 1_001, 1), 10 + RESERVE);
        assert_eq!(had(Budget::new(0), 1_000, 1), 0);
    }

    #[test]
    fn a_reload_is_no_way_to_more_retries() {
        let mut spent = Budget::new(20);
        while spent.spend() {}
        assert!(!Budget::new(50).after(spent).spend());
        assert!(Budget::new(20).after(Budget::new(0)).spend(), "it was switched on");
        assert!(!Budget::new(0).after(Budget::new(20)).spend(), "it was switched off");
    }

    #[test]
    fn a_few_failures_are_all_retried() {
        let mut budget = Budget::new(20);
        for nth in 0..1_000 {
            budget.earn();
            assert!(nth % 10 != 0 || budget.spend(), "{nth}");
        }
    }

    #[test]
    fn what_is_not_spent_is_not_saved_up_for_a_storm() {
        let mut budget = Budget::new(100);
        (0..100_000).for_each(|_| budget.earn());
        assert_eq!((0..100).filter(|_| budget.spend()).count() as u64, RESERVE);
    }
}
