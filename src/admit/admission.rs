//! Admission: decided once for each connection and once for each request.

use std::sync::Arc;
use std::time::Instant;

use super::adapt::{Adaptive, FirstByte, StreamLimit};
use super::clients::{Charge, ModelTold};
use super::limit::{Limit, LimitGuard};
use super::memory::{Level, Pressure, Weight};
use crate::config::{Config, Route, RouteId, Upstream, UpstreamId};
use crate::error::Kind;
use crate::record::AdaptiveShown;

/// So many requests, and so many connections, are let in however short memory is. A ceiling set too low,
/// or memory that does not come back, then makes a slow proxy and not a dead one; and so few are no
/// danger.
const FEW: usize = 16;

/// What a request in flight costs besides its head, in bytes: its task and records, its streams on both
/// sides, and the first part of its answer, which no window holds back.
const REQUEST: usize = 32 * 1024;

/// How many there is room for in all. See [`Admission::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Client connections.
    pub connections: usize,
    /// Connections beyond those that are told so; any more are closed without a word.
    pub refusals: usize,
}

/// What all workers share of who may come in. Clones share it.
#[derive(Debug, Clone)]
pub struct Admission {
    connections: Limit,
    refusals: Limit,
    streams: Limit,
    routes: Arc<[Option<StreamLimit>]>,
    upstreams: Arc<[Option<StreamLimit>]>,
    pressure: Pressure,
    capacity: Capacity,
}

/// A request's right to be in flight, for as long as it lives. It rides in the answer's body.
#[derive(Debug)]
pub struct Permit {
    /// `None` where another one stands for the same request.
    _whole: Option<LimitGuard>,
    _route: Option<LimitGuard>,
    weight: Option<Weight>,
    /// Where clients are known. Boxed: others have no room for it.
    charge: Option<Box<Charge>>,
    /// Where a limit follows it. Boxed for the same reason.
    first_byte: Option<Box<FirstByte>>,
}

impl Permit {
    fn new(whole: LimitGuard, weight: Option<Weight>) -> Self {
        Self { _whole: Some(whole), _route: None, weight, charge: None, first_byte: None }
    }

    /// For the client's side of a request whose permit is with whoever reads its answer.
    pub fn elsewhere() -> Self {
        Self { _whole: None, _route: None, weight: None, charge: None, first_byte: None }
    }

    /// What it stands for goes elsewhere; nothing is left here.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::elsewhere())
    }

    /// The first byte of its answer's body is told to limits that follow it.
    pub fn awaits(&mut self, first_byte: Option<Box<FirstByte>>) {
        self.first_byte = first_byte;
    }

    /// The body of the request's answer has begun.
    pub fn answered(&mut self, at: Instant) {
        if let Some(first_byte) = self.first_byte.take() {
            first_byte.came(at);
        }
        if let Some(weight) = &mut self.weight {
            weight.answered();
        }
    }

    /// The same with what the request takes of its client's limits.
    #[must_use]
    pub fn charged(self, charge: Charge) -> Self {
        Self { charge: Some(Box::new(charge)), ..self }
    }

    /// What the request's model was found to be, for what it takes of its client's limits.
    pub fn of_model(&mut self, model: ModelTold) {
        if let Some(charge) = &mut self.charge {
            charge.of_model(model);
        }
    }

    /// What the request takes of its client's limits.
    pub fn charge(&self) -> Option<&Charge> {
        self.charge.as_deref()
    }

    /// The same, to be settled.
    pub fn take_charge(&mut self) -> Option<Charge> {
        self.charge.take().map(|charge| *charge)
    }

    /// The request was refused before any upstream was asked: it counts under no limit of its client's.
    pub fn withdraw(mut self) {
        if let Some(charge) = self.take_charge() {
            charge.withdraw();
        }
    }
}

impl Admission {
    /// As the configuration bounds streams, and with `capacity` for connections.
    pub fn new(config: &Config, capacity: Capacity) -> Self {
        Self {
            connections: Limit::new(capacity.connections),
            refusals: Limit::new(capacity.refusals),
            streams: Limit::new(config.limits.streams),
            routes: config.routes.iter().map(|route| of_route(None, route)).collect(),
            upstreams: config.upstreams.iter().map(|one| of_upstream(None, one)).collect(),
            pressure: Pressure::default(),
            capacity,
        }
    }

    /// One for another configuration: what is taken counts on, by the names of routes and upstreams. Of
    /// what had no bound before, only what comes from now on counts.
    #[must_use]
    pub fn follow(&self, before: &Config, after: &Config, capacity: Capacity) -> Self {
        let route = |now: &Route| {
            let then = before.routes.iter().position(|then| then.path == now.path);
            of_route(then.and_then(|id| self.routes.get(id)?.as_ref()), now)
        };
        let upstream = |now: &Upstream| {
            let then = before.upstreams.iter().position(|then| then.name == now.name);
            of_upstream(then.and_then(|id| self.upstreams.get(id)?.as_ref()), now)
        };
        Self {
            connections: self.connections.with(capacity.connections),
            refusals: self.refusals.with(capacity.refusals),
            streams: self.streams.with(after.limits.streams),
            routes: after.routes.iter().map(route).collect(),
            upstreams: after.upstreams.iter().map(upstream).collect(),
            pressure: self.pressure.clone(),
            capacity,
        }
    }

    /// How many connections there is room for.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// What memory allows; set from elsewhere.
    pub fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    /// The bound that all workers keep toward an upstream; `None` where the operator set none.
    pub fn upstream(&self, id: UpstreamId) -> Option<StreamLimit> {
        self.upstreams.get(id.0).cloned().flatten()
    }

    /// What moves a route's bound, where something does.
    pub fn adaptive(&self, route: RouteId) -> Option<&Arc<Adaptive>> {
        self.routes.get(route.0)?.as_ref()?.adaptive()
    }

    /// What is shown of bounds that move: of routes, and of upstreams.
    pub fn meters(&self, config: &Config) -> (Vec<AdaptiveShown>, Vec<AdaptiveShown>) {
        let shown = |name: &str, limit: &Option<StreamLimit>| {
            let meters = limit.as_ref()?.adaptive()?.meters();
            Some((name.to_owned(), Arc::clone(meters)))
        };
        let routes = config.routes.iter().zip(&*self.routes);
        let upstreams = config.upstreams.iter().zip(&*self.upstreams);
        (
            routes.filter_map(|(route, limit)| shown(&route.path, limit)).collect(),
            upstreams.filter_map(|(upstream, limit)| shown(&upstream.name, limit)).collect(),
        )
    }

    /// A client's connection comes in.
    ///
    /// # Errors
    /// [`Kind::TooManyConnections`], [`Kind::MemoryShort`].
    pub fn connection(&self) -> Result<LimitGuard, Kind> {
        let limit_guard = self.connections.enter().ok_or(Kind::TooManyConnections)?;
        let short = self.pressure.level() == Level::Shut && self.connections.taken() > FEW;
        if short { Err(Kind::MemoryShort) } else { Ok(limit_guard) }
    }

    /// No place is left for a connection.
    pub fn is_full(&self) -> bool {
        self.connections.is_full()
    }

    /// A connection that may not come in is told why, if few enough are being told.
    pub fn refusal(&self) -> Option<LimitGuard> {
        self.refusals.enter()
    }

    /// A request comes in; the route that it takes is not known yet. Where memory has a ceiling, `head` is
    /// asked for the bytes of its head; `None`: whoever takes it has no room for it.
    ///
    /// # Errors
    /// [`Kind::Busy`], [`Kind::MemoryShort`].
    pub fn request(&self, head: impl FnOnce() -> Option<usize>) -> Result<Permit, Kind> {
        let whole = self.streams.enter().ok_or(Kind::Busy)?;
        if !self.pressure.look().is_one() {
            return Ok(Permit::new(whole, None));
        }
        let head = head();
        let (weight, much) = self.pressure.weigh((REQUEST + head.unwrap_or(0)) as u64);
        let short = head.is_none() || much || self.pressure.level() >= Level::Shed;
        if short && self.streams.taken() > FEW {
            return Err(Kind::MemoryShort);
        }
        Ok(Permit::new(whole, Some(weight)))
    }

    /// The request takes this route.
    ///
    /// # Errors
    /// [`Kind::RouteBusy`].
    pub fn on_route(&self, permit: Permit, route: RouteId) -> Result<Permit, Kind> {
        let Some(Some(limit)) = self.routes.get(route.0) else { return Ok(permit) };
        let limit_guard = limit.enter().map_err(|_full| Kind::RouteBusy)?;
        Ok(Permit { _route: Some(limit_guard), ..permit })
    }
}

/// A route's bounds; what was known of it goes on.
fn of_route(then: Option<&StreamLimit>, now: &Route) -> Option<StreamLimit> {
    match then {
        Some(then) => then.followed(now.streams, now.adapt, &now.path),
        None => StreamLimit::configured(now.streams, now.adapt, &now.path),
    }
}

/// The same of an upstream.
fn of_upstream(then: Option<&StreamLimit>, now: &Upstream) -> Option<StreamLimit> {
    match then {
        Some(then) => then.followed(now.streams, now.adapt, &now.name),
        None => StreamLimit::configured(now.streams, now.adapt, &now.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::memory;
    use crate::config::Target;

    fn admission(change: impl FnOnce(&mut Config), capacity: Capacity) -> Admission {
        Admission::new(&config(change), capacity)
    }

    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = crate::config::from_env(&KeyOnly).expect("a configuration");
        change(&mut config);
        config
    }

    struct KeyOnly;

    impl crate::config::Env for KeyOnly {
        fn var(&self, name: &str) -> Result<String, std::env::VarError> {
            let key = (name == "OPENAI_API_KEY").then(|| "sk-k".to_owned());
            key.ok_or(std::env::VarError::NotPresent)
        }

        fn read_file(&self, _: &std::path::Path) -> std::io::Result<Vec<u8>> {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }

    const MUCH: Capacity = Capacity { connections: 1000, refusals: 1 };

    #[test]
    fn a_route_of_its_own_bound_refuses_while_others_take() {
        let admission = admission(
            |config| {
                config.routes.push(Route::new("/few", Target::Upstream(UpstreamId(0))));
                config.routes[1].streams = Some(1);
            },
            MUCH,
        );
        let (any, few) = (RouteId(0), RouteId(1));
        let enter = |route| {
            admission.request(|| Some(0)).and_then(|permit| admission.on_route(permit, route))
        };
        let first = enter(few).unwrap();
        assert_eq!(enter(few).unwrap_err(), Kind::RouteBusy);
        assert!(enter(any).is_ok());
        assert_eq!(admission.streams.taken(), 1, "who was refused left the whole's place too");
        drop(first);
        assert!(enter(few).is_ok());
    }

    #[test]
    fn what_is_in_flight_counts_on_when_the_configuration_changes() {
        let bounded = |most| {
            move |config: &mut Config| {
                config.routes[0].streams = Some(most);
                config.upstreams[0].streams = Some(most);
            }
        };
        let old = admission(bounded(1), MUCH);
        let (before, mut after) = (config(bounded(1)), config(bounded(2)));
        // Numbers change where something comes before them; names do not.
        after.routes.insert(0, Route::new("/new", Target::Upstream(UpstreamId(0))));
        let here = old.on_route(old.request(|| Some(0)).unwrap(), RouteId(0)).unwrap();
        let there = old.upstream(UpstreamId(0)).unwrap().enter().unwrap();
        let new = old.follow(&before, &after, MUCH);
        let enter = || new.request(|| Some(0)).and_then(|permit| new.on_route(permit, RouteId(1)));
        let second = enter().unwrap();
        assert_eq!(enter().unwrap_err(), Kind::RouteBusy);
        drop((here, second));
        assert!(enter().is_ok());
        let upstream = new.upstream(UpstreamId(0)).unwrap();
        let one_more = upstream.enter();
        assert!(one_more.is_ok() && upstream.enter().is_err());
        drop(there);
        assert!(upstream.enter().is_ok());
    }

    #[test]
    fn short_memory_refuses_requests_first_and_connections_later_but_never_the_first_few() {
        let admission = admission(|_| {}, MUCH);
        let shown = admission.pressure().level_setter(1 << 30);
        let requests: Vec<_> = (0..FEW).map(|_| admission.request(|| Some(0)).unwrap()).collect();
        let connections: Vec<_> = (0..FEW).map(|_| admission.connection().unwrap()).collect();
        assert!(admission.request(|| Some(0)).is_ok() && admission.connection().is_ok());
        shown.show(Level::Shed, memory::Headroom::default());
        assert_eq!(admission.request(|| Some(0)).unwrap_err(), Kind::MemoryShort);
        assert!(admission.connection().is_ok());
        shown.show(Level::Shut, memory::Headroom::default());
        assert_eq!(admission.connection().unwrap_err(), Kind::MemoryShort);
        drop((requests, connections));
        assert!(admission.request(|| Some(0)).is_ok() && admission.connection().is_ok());
    }

    #[test]
    fn between_two_looks_no_more_come_in_than_there_was_room_for_heads_included() {
        let admission = admission(|_| {}, MUCH);
        let shown = admission.pressure().level_setter(1 << 30);
        let capacity = 40 * REQUEST as u64;
        shown.show(Level::Calm, memory::Headroom { requests: capacity, ..Default::default() });
        let enter = |head: usize| admission.request(|| Some(head));
        let light: Vec<_> = (0..30).map(|_| enter(0).unwrap()).collect();
        assert_eq!(enter(11 * REQUEST).unwrap_err(), Kind::MemoryShort);
        assert!(enter(5 * REQUEST).is_ok(), "and it went at once: it takes no room");
        let heavy = enter(9 * REQUEST).unwrap();
        assert_eq!(enter(0).unwrap_err(), Kind::MemoryShort);
        drop(heavy);
        assert!(enter(0).is_ok());
        drop(light);
    }

    #[test]
    fn no_more_are_told_than_there_is_room_to_tell() {
        let admission = admission(|_| {}, Capacity { connections: 0, refusals: 1 });
        assert_eq!(admission.connection().unwrap_err(), Kind::TooManyConnections);
        let _told = admission.refusal().unwrap();
        assert!(admission.refusal().is_none());
    }
}
