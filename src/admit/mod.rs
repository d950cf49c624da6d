//! Who may come in, and how many at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Kind};

/// A bound on something that all workers share.
#[derive(Debug, Clone)]
pub struct Bound {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// A place under a [`Bound`], for as long as it lives. It rides in the answer's body.
#[derive(Debug)]
pub struct Permit(Arc<AtomicUsize>);

impl Bound {
    /// At most `most` at once.
    pub fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    /// Another bound on the same things: what is taken counts under both.
    #[must_use]
    pub fn with(&self, most: usize) -> Self {
        Self { taken: Arc::clone(&self.taken), most }
    }

    /// A place, if one is free.
    ///
    /// # Errors
    /// [`Kind::Busy`]: all are taken.
    pub fn enter(&self) -> Result<Permit, Error> {
        // The count alone is exchanged, no other memory: relaxed is enough.
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(Arc::clone(&self.taken));
        if before < self.most { Ok(permit) } else { Err(Kind::Busy.into()) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_permit_goes() {
        let bound = Bound::new(1);
        let first = bound.enter();
        assert!(first.is_ok());
        assert!(bound.enter().is_err(), "and the refusal takes no place");
        drop(first);
        assert!(bound.enter().is_ok());
    }

    #[test]
    fn what_was_taken_under_the_old_bound_counts_under_the_new_one() {
        let old = Bound::new(1);
        let _taken = old.enter();
        assert!(old.with(1).enter().is_err());
        assert!(old.with(2).enter().is_ok());
    }
}
