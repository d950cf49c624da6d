//! One client of the configuration, as requests meet it.

use std::sync::Arc;

use super::clock::Clock;
use super::spending::{Cells, Spending};
use crate::admit::quota::Limiter;
use crate::config::{EventRights, Glob, PriceId, Prices, RouteId};
use crate::error::Kind;

/// One client. Shared by all workers; a reload makes another of the same [`Spending`].
#[derive(Debug)]
pub struct Caller {
    pub(super) name: Arc<str>,
    pub(super) disabled: bool,
    /// Unix time in seconds.
    pub(super) expires: Option<u64>,
    pub(super) routes: Option<Box<[RouteId]>>,
    pub(super) models: Option<Box<[Glob]>>,
    pub(super) events: EventRights,
    /// Its own, then those of its groups, the nearest first.
    pub(super) limiters: Arc<[Limiter]>,
    pub(super) spending: Arc<Spending>,
    /// By the number of the model's label; the last one is of all others.
    pub(super) cells: Box<[Arc<Cells>]>,
    pub(super) prices: Arc<Prices>,
    pub(super) clock: Clock,
}

impl Caller {
    /// The operator's name for it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its own limits, then those of its groups.
    pub fn limiters(&self) -> &[Limiter] {
        &self.limiters
    }

    /// What its requests came to.
    pub fn spending(&self) -> &Spending {
        &self.spending
    }

    /// Why it may do nothing, where that is so.
    pub(super) fn is_valid(&self, unix: impl FnOnce() -> u64) -> Result<(), Kind> {
        if self.disabled {
            return Err(Kind::InvalidKey("This key is disabled; ask the operator of the proxy."));
        }
        match self.expires {
            Some(expires) if unix() >= expires => Err(Kind::InvalidKey(
                "This key has expired; ask the operator of the proxy for another.",
            )),
            _ => Ok(()),
        }
    }

    /// Whether it may use a route.
    ///
    /// # Errors
    /// [`Kind::RouteNotAllowed`].
    pub fn may_use(&self, route: RouteId) -> Result<(), Kind> {
        match &self.routes {
            Some(routes) if !routes.contains(&route) => Err(Kind::RouteNotAllowed),
            _ => Ok(()),
        }
    }

    /// Whether the request's model must be known: some rule or price goes by it.
    pub fn asks_for_model(&self) -> bool {
        self.models.is_some() || !self.prices.is_empty()
    }

    /// Whether it may use some models only.
    pub fn is_held_to_models(&self) -> bool {
        self.models.is_some()
    }

    /// Whether it may use a model.
    ///
    /// # Errors
    /// [`Kind::ModelNotAllowed`].
    pub fn may_ask(&self, model: &str) -> Result<(), Kind> {
        match &self.models {
            Some(models) if !models.iter().any(|glob| glob.matches(model)) => {
                Err(Kind::ModelNotAllowed)
            }
            _ => Ok(()),
        }
    }

    /// Whether it may publish events of this name.
    ///
    /// # Errors
    /// [`Kind::PublishNotAllowed`].
    pub fn may_publish(&self, name: &str) -> Result<(), Kind> {
        may(&self.events.publish, name, Kind::PublishNotAllowed)
    }

    /// Whether it may subscribe to events of this name.
    ///
    /// # Errors
    /// [`Kind::SubscribeNotAllowed`].
    pub fn may_subscribe(&self, name: &str) -> Result<(), Kind> {
        may(&self.events.subscribe, name, Kind::SubscribeNotAllowed)
    }

    /// What the dearest of these models costs.
    pub fn dearest_price<'a>(&self, models: impl Iterator<Item = &'a str>) -> Option<PriceId> {
        self.prices.dearest(models)
    }
}

fn may(globs: &[Glob], name: &str, otherwise: Kind) -> Result<(), Kind> {
    if globs.iter().any(|glob| glob.matches(name)) { Ok(()) } else { Err(otherwise) }
}
