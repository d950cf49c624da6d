//! The limit of requests in flight of a route or an upstream: fixed, adaptive, or both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Adaptive;
use crate::admit::limit::{Limit, LimitGuard};
use crate::config::Adapt;

/// Clones share the count, and what was learned.
#[derive(Debug, Clone)]
pub struct StreamLimit {
    /// Holds always.
    fixed: Limit,
    adaptive: Option<Arc<Adaptive>>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// As many are in flight as may be.
    Busy,
    /// The upstream's own limit is used up, for so long.
    RateLimited(Duration),
}

impl StreamLimit {
    /// What the operator set; `None` where that is nothing. `name`: of the route or upstream.
    pub fn configured(streams: Option<usize>, adapt: Option<Adapt>, name: &str) -> Option<Self> {
        Some(Self::new(most(streams, adapt)?, adapt, name))
    }

    pub(super) fn new(most: usize, adapt: Option<Adapt>, name: &str) -> Self {
        let fixed = Limit::new(most);
        let adaptive = adapt.map(|adapt| Adaptive::new(name, adapt, &fixed));
        Self { fixed, adaptive }
    }

    /// One for another configuration: what is taken counts on, and what was learned is kept.
    pub fn followed(
        &self,
        streams: Option<usize>,
        adapt: Option<Adapt>,
        name: &str,
    ) -> Option<Self> {
        Some(self.follow(most(streams, adapt)?, adapt, name))
    }

    pub(super) fn follow(&self, most: usize, adapt: Option<Adapt>, name: &str) -> Self {
        let fixed = self.fixed.with(most);
        let adaptive = adapt.map(|adapt| {
            let Some(known) = &self.adaptive else { return Adaptive::new(name, adapt, &fixed) };
            known.adopt(adapt);
            Arc::clone(known)
        });
        Self { fixed, adaptive }
    }

    /// A place.
    ///
    /// # Errors
    /// See [`Full`].
    pub fn enter(&self) -> Result<LimitGuard, Full> {
        match &self.adaptive {
            None => self.fixed.enter().ok_or(Full::Busy),
            Some(adaptive) => adaptive.enter(&self.fixed, Instant::now()),
        }
    }

    /// What moves it, where something does.
    pub fn adaptive(&self) -> Option<&Arc<Adaptive>> {
        self.adaptive.as_ref()
    }

    /// Places that are taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.fixed.taken()
    }
}

/// The fixed limit, or, without one, the adaptive one's ceiling.
fn most(streams: Option<usize>, adapt: Option<Adapt>) -> Option<usize> {
    streams.or(adapt.map(|adapt| adapt.ceiling))
}
