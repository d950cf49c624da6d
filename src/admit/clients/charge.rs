//! What one request of a client took, and what it came to.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::caller::Caller;
use crate::admit::quota::{
    Now, Refused, Remote, Reserve, Standing, Taken, Verdict, limit_headers, refusal,
};
use crate::config::{ModelId, PriceId};
use crate::error::{Error, Kind};
use crate::record::Usage;

/// What a request of a client is reckoned to cost of which none has ended yet.
const GUESS: Reserve = Reserve { tokens: 1_000, cost: 10_000_000, is_guess: true };

/// Bytes of a request's body that are a token, about: four letters of English.
const BYTES_PER_TOKEN: u64 = 4;
/// More than any model reads: a body of more than that is no prompt.
const MOST_INPUT: u64 = 128 * 1024;

/// A client's request in flight, under all its limits. It rides in the permit. Dropped before it is settled, it gives
/// back what it reserved: no upstream answered.
#[derive(Debug)]
pub struct Charge {
    caller: Arc<Caller>,
    /// `None` where the client has no limits.
    taken: Option<Taken>,
    model: ModelTold,
    /// When it was let in.
    now: Now,
}

/// What is known of the model that a request asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelTold {
    /// Its label in metrics and reports; `None` counts among all others.
    pub label: Option<ModelId>,
    /// What its tokens cost.
    pub price: Option<PriceId>,
}

/// What was seen of a request whose usage nobody told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Bytes of the request's body.
    pub bytes_up: u64,
    /// Frames of the answer's body.
    pub frames: u64,
    /// What the upstream said before it came to the end: it took no less.
    pub at_least: Usage,
}

/// What a request came to in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Tokens.
    pub usage: Usage,
    /// Nanodollars.
    pub cost: u64,
    /// The upstream did not say how many tokens there were.
    pub estimated: bool,
}

impl Caller {
    /// Lets a request in that came at this moment, under all its limits. Its model may be told later: [`Charge::of_model`].
    ///
    /// # Errors
    /// [`Kind::RateLimited`](crate::error::Kind), [`Kind::QuotaExceeded`](crate::error::Kind), with what the client is told.
    pub fn admit(self: &Arc<Self>, at: Instant) -> Result<Charge, Error> {
        let now = self.clock.at(at);
        let taken = if self.limiters.is_empty() {
            None
        } else {
            let taken = Taken::all(&self.limiters, self.reserve(), now);
            Some(taken.map_err(|refused| refusal(&refused, &self.limiters, now))?)
        };
        Ok(Charge { caller: Arc::clone(self), taken, model: ModelTold::default(), now })
    }

    /// Who decides on its requests, where that is somebody else.
    pub fn remote(&self) -> Option<Arc<dyn Remote>> {
        self.limiters.first()?.sharing()?.remote()
    }

    /// The same as [`Caller::admit`], as somebody else decides. Dropped, nothing stays taken.
    ///
    /// # Errors
    /// As for [`Caller::admit`].
    pub async fn admit_by(
        self: &Arc<Self>,
        remote: Arc<dyn Remote>,
        at: Instant,
    ) -> Result<Charge, Error> {
        let (limiters, reserve) = (&self.limiters, self.reserve());
        let places = Taken::places(limiters);
        let verdict = remote.take(Taken::wants(limiters, reserve)).await;
        let now = self.clock.at(at);
        let taken = match (verdict, limiters.first()) {
            (Verdict::Granted, _) => Taken::elsewhere(limiters, reserve, places, true, now),
            (Verdict::Lost(Standing::Allow), _) => {
                Taken::elsewhere(limiters, reserve, places, false, now)
            }
            (Verdict::Lost(Standing::Deny), Some(first)) => {
                first.count_refusal();
                return Err(Error::new(Kind::LimitsUnavailable));
            }
            (Verdict::Refused { nth, wait }, Some(first)) => {
                let limiter = limiters.get(nth).unwrap_or(first);
                limiter.count_refusal();
                return Err(refusal(&Refused { limiter, wait }, limiters, now));
            }
            (Verdict::Lost(_) | Verdict::Undecided | Verdict::Refused { .. }, _) => {
                drop(places);
                return self.admit(at);
            }
        };
        let model = ModelTold::default();
        Ok(Charge { caller: Arc::clone(self), taken: Some(taken), model, now })
    }

    /// What a request of it is reckoned to cost.
    fn reserve(&self) -> Reserve {
        let of_late = self.spending.of_late();
        of_late.map_or(GUESS, |(tokens, cost)| Reserve { tokens, cost, is_guess: false })
    }
}

impl Charge {
    /// Whose it is.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// What its request's model was found to be. What it took does not depend on it, what it comes to does.
    pub fn of_model(&mut self, model: ModelTold) {
        self.model = model;
    }

    /// The headers that tell the client what is left, in place of the upstream's.
    pub fn show(&self, headers: &mut HeaderMap) {
        if self.taken.is_some() {
            let now = self.now;
            limit_headers(self.caller.limiters(), now, |name: HeaderName, value: HeaderValue| {
                headers.insert(name, value);
            });
        }
    }

    /// The request costs no tokens, and may go on for long. It counts as one that was made, and as one in flight until this
    /// is dropped.
    pub fn costs_nothing(&mut self) {
        if let Some(taken) = &mut self.taken {
            taken.costs_nothing();
        }
    }

    /// The request was refused before any upstream was asked: nothing of it counts.
    pub fn withdraw(self) {
        if let Some(taken) = self.taken {
            taken.withdraw();
        }
    }

    /// The request has ended. `usage`: as the upstream told it. Without it an answer that was no failure is charged
    /// by what was seen of it: never nothing, and never what was reserved.
    pub fn settle(self, usage: Option<Usage>, seen: Option<Seen>, at: Instant) -> Settled {
        let estimated = usage.is_none() && seen.is_some();
        let usage = usage.or_else(|| Some(self.estimate(seen?))).unwrap_or_default();
        let caller = &self.caller;
        let cost = caller.prices.cost(self.model.price, usage.input, usage.cached, usage.output);
        if !estimated && usage != Usage::default() {
            caller.spending.learn(usage, cost);
        }
        let last = caller.cells.len().saturating_sub(1);
        let label = self.model.label.map_or(last, |ModelId(nth)| nth);
        if let Some(cells) = caller.cells.get(label) {
            cells.add(usage, cost, estimated);
        }
        if let Some(taken) = self.taken {
            taken.settle(usage.input + usage.output, cost, caller.clock.at(at));
        }
        Settled { usage, cost, estimated }
    }

    fn estimate(&self, seen: Seen) -> Usage {
        // No less than the body's size says: who asks little where usage is read could ask for much where it is not.
        let sent = (seen.bytes_up / BYTES_PER_TOKEN).min(MOST_INPUT);
        let input = match seen.at_least.input {
            0 => self.caller.spending.input_of_late().max(sent),
            told => told,
        };
        Usage {
            input,
            cached: seen.at_least.cached,
            output: seen.frames.max(seen.at_least.output).max(1),
        }
    }
}
