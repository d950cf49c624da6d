//! Clients as pages show them. Off the path: it looks at counters that workers add to.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::caller::Caller;
use super::directory::Directory;
use crate::admit::quota::{Limiter, Now};
use crate::record::{ClientShown, ClientsShown, LimitShown, ModelShown};

const CLIENT: &str = "client ";
const GROUP: &str = "client group ";

impl Directory {
    /// All clients and the limits of their groups, now.
    pub fn shown(&self) -> ClientsShown {
        let now = self.now(Instant::now());
        let of_groups = self.limiters().filter(|limiter| limiter.owner().starts_with(GROUP));
        ClientsShown {
            clients: self.callers().iter().map(|caller| client(caller, now)).collect(),
            groups: of_groups.map(|limiter| limit(limiter, now)).collect(),
        }
    }
}

fn client(caller: &Caller, now: Now) -> ClientShown {
    let (of_groups, own): (Vec<_>, Vec<_>) =
        caller.limiters().iter().partition(|limiter| limiter.owner().starts_with(GROUP));
    let mut models = Vec::new();
    caller.spending().each(|model, cells| {
        let requests = cells.requests.load(Relaxed);
        if requests > 0 {
            models.push(ModelShown {
                model: model.to_owned(),
                requests,
                input: cells.input.load(Relaxed),
                cached: cells.cached.load(Relaxed),
                output: cells.output.load(Relaxed),
                cost: cells.cost.load(Relaxed),
                estimated: cells.estimated.load(Relaxed),
            });
        }
    });
    models.sort_by(|a, b| a.model.cmp(&b.model));
    ClientShown {
        name: caller.name().to_string(),
        models,
        limits: own.into_iter().map(|limiter| limit(limiter, now)).collect(),
        shares: of_groups.into_iter().map(owner).collect(),
    }
}

fn limit(limiter: &Limiter, now: Now) -> LimitShown {
    LimitShown {
        owner: owner(limiter),
        limit: limiter.measure().name(),
        most: limiter.measure().most(),
        left: limiter.level(now).left,
        refused: limiter.refused(),
    }
}

fn owner(limiter: &Limiter) -> String {
    let owner = limiter.owner();
    let name = owner.strip_prefix(GROUP).or_else(|| owner.strip_prefix(CLIENT));
    name.unwrap_or(owner).to_owned()
}
