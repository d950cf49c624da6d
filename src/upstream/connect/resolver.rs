//! What the upstreams' names resolve to: found out on a thread of its own, ahead of need, and shared by
//! all workers.
//!
//! The system's resolver is asked (getaddrinfo: hosts file, search domains and caches as everywhere else
//! on the machine). It blocks and tells no TTL, hence the thread and the interval. An answer stays in
//! use until there is another: names that cannot be resolved any more cost nobody a connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, oneshot, watch};

use super::addresses::{Addresses, Memory};
use crate::algo::backoff::{backoff, draw};
use crate::algo::telling::Telling;
use crate::config::Upstream;
use crate::error::{Error, Kind};
use crate::record::DnsMeters;
use crate::upstream::outage::Outage;

/// The longest that the first pause after a failure can be; doubled with each further one, up to the
/// interval.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Connects that failed have a name looked up again ahead of its time, this often at most.
const LEAST_BETWEEN: Duration = Duration::from_secs(1);

/// What is known of a name.
#[derive(Debug, Clone)]
enum Known {
    /// The first question is under way.
    Nothing,
    /// It never resolved; this is why it last did not.
    Unresolved(Arc<str>),
    Addresses(Arc<Addresses>),
}

/// What one upstream's name resolves to. Clones are cheap and of any thread.
#[derive(Debug, Clone)]
pub struct ResolvedName {
    known: watch::Receiver<Known>,
    doubted: Arc<Notify>,
    outage: Arc<Outage>,
    _asked_by: Option<Resolver>,
}

impl ResolvedName {
    /// An upstream's host. Begins to resolve it, if it is a name, on the thread of `resolver`, which is
    /// made where there is none. It is asked for until the last clone is gone.
    ///
    /// # Errors
    /// The thread could not be made.
    pub fn of(
        upstream: &Upstream,
        meters: Arc<DnsMeters>,
        resolver: &mut Option<Resolver>,
    ) -> io::Result<Self> {
        let doubted = Arc::new(Notify::new());
        let (host, port) = upstream.dials();
        let fixed = match host.parse::<IpAddr>() {
            _ if upstream.socket.is_some() => Some(Vec::new()),
            Ok(ip) => Some(vec![SocketAddr::new(ip, port)]),
            Err(_) => None,
        };
        if let Some(now) = fixed {
            meters.addresses(1);
            let addresses = Arc::new(Addresses { now, ..Addresses::default() });
            let (_never, known) = watch::channel(Known::Addresses(addresses));
            return Ok(Self { known, doubted, outage: Arc::default(), _asked_by: None });
        }
        let resolver = match resolver {
            Some(resolver) => resolver,
            None => resolver.insert(Resolver::start()?),
        };
        let (tell, known) = watch::channel(Known::Nothing);
        let followed = Followed::new(upstream, Arc::clone(&doubted), meters, tell);
        resolver.0.runtime.spawn(followed.run());
        let asked_by = Some(resolver.clone());
        Ok(Self { known, doubted, outage: Arc::default(), _asked_by: asked_by })
    }

    /// Where to connect. Waits only for the first answer of all; the caller bounds that.
    ///
    /// # Errors
    /// [`Kind::Dns`]: the name never resolved.
    pub(in crate::upstream) async fn addresses(&self) -> Result<Arc<Addresses>, Error> {
        let mut known = self.known.clone();
        let known = known.wait_for(|known| !matches!(known, Known::Nothing)).await;
        match known.as_deref() {
            Ok(Known::Addresses(addresses)) => Ok(Arc::clone(addresses)),
            Ok(Known::Unresolved(why)) => Err(Error::with(Kind::Dns, &**why)),
            Ok(Known::Nothing) | Err(_) => Err(Kind::Dns.into()), // the thread could not go on
        }
    }

    /// Returns when there are other addresses than before.
    ///
    /// # Errors
    /// There will never be any: the host is an address.
    pub(in crate::upstream) async fn moved(&mut self) -> Result<(), watch::error::RecvError> {
        self.known.changed().await?;
        self.known.wait_for(|known| matches!(known, Known::Addresses(_))).await.map(drop)
    }

    /// Whether it leads to `address`, as far as is known.
    pub(in crate::upstream) fn has(&self, address: SocketAddr) -> bool {
        match &*self.known.borrow() {
            Known::Addresses(addresses) => addresses.has(address),
            Known::Nothing | Known::Unresolved(_) => true,
        }
    }

    /// What is said of those who cannot be connected to there.
    pub fn outage(&self) -> &Arc<Outage> {
        &self.outage
    }

    /// The addresses as far as they are known, for people; none where there is only the name.
    pub(in crate::upstream) fn shown(&self) -> String {
        match &*self.known.borrow() {
            Known::Addresses(addresses) => {
                let all = addresses.now.iter().map(ToString::to_string);
                all.collect::<Vec<_>>().join(" ")
            }
            Known::Nothing | Known::Unresolved(_) => String::new(),
        }
    }

    /// None of the addresses could be connected to: they may be old.
    pub(super) fn doubt(&self) {
        self.doubted.notify_one();
    }
}

/// The thread that asks. Clones share it; it ends with the last of them and of the [`ResolvedName`]s that need it.
/// What the system is still asking then is left to its own end, for which nobody waits.
#[derive(Debug, Clone)]
pub struct Resolver(Arc<Thread>);

#[derive(Debug)]
struct Thread {
    runtime: Handle,
    /// Dropped, it ends the thread.
    _stays: oneshot::Sender<()>,
}

impl Resolver {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stays, goes) = oneshot::channel();
        std::thread::Builder::new().name("dns".into()).spawn(move || {
            let _gone = runtime.block_on(goes);
            runtime.shutdown_background();
        })?;
        Ok(Self(Arc::new(Thread { runtime: handle, _stays: stays })))
    }
}

/// One name that is asked for again and again.
struct Followed {
    upstream: String,
    host: String,
    port: u16,
    interval: Duration,
    known: watch::Sender<Known>,
    doubted: Arc<Notify>,
    meters: Arc<DnsMeters>,
    memory: Memory,
    /// Failures since the last answer.
    failures: u32,
    telling: Telling,
}

impl Followed {
    fn new(
        upstream: &Upstream,
        doubted: Arc<Notify>,
        meters: Arc<DnsMeters>,
        known: watch::Sender<Known>,
    ) -> Self {
        let (host, port) = upstream.dials();
        Self {
            upstream: upstream.name.clone(),
            host: host.to_owned(),
            port,
            interval: upstream.dns.interval,
            known,
            doubted,
            meters,
            memory: Memory::default(),
            failures: 0,
            telling: Telling::default(),
        }
    }

    async fn run(mut self) {
        loop {
            let found = tokio::select! {
                found = tokio::net::lookup_host((self.host.as_str(), self.port)) => found,
                () = self.known.closed() => return,
            };
            let pause = match found.map(Iterator::collect::<Vec<_>>) {
                Ok(found) if !found.is_empty() => self.resolved(&found),
                Ok(_none) => self.failed("no address"),
                Err(error) => self.failed(&error.to_string()),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.again() => {}
                () = self.known.closed() => return,
            }
        }
    }

    /// Returns when somebody doubts the answer, but not at once.
    async fn again(&self) {
        tokio::time::sleep(LEAST_BETWEEN).await;
        self.doubted.notified().await;
    }

    /// Takes an answer; the pause until the next question.
    fn resolved(&mut self, found: &[SocketAddr]) -> Duration {
        let addresses = Arc::new(self.memory.learn(found, Instant::now()));
        self.meters.addresses(addresses.now.len());
        self.failures = 0;
        if self.telling.works(Instant::now()).is_some() {
            tracing::info!(
                upstream = self.upstream,
                host = self.host,
                "upstream name resolves again"
            );
        }
        self.known.send_if_modified(|known| {
            let before = std::mem::replace(known, Known::Addresses(Arc::clone(&addresses)));
            let Known::Addresses(before) = before else { return true };
            let same = before.is_same_set(&addresses);
            if !same {
                self.meters.changed();
                let (from, to) = (&before.now, &addresses.now);
                tracing::info!(
                    upstream = self.upstream,
                    ?from,
                    ?to,
                    "upstream name resolves to other addresses"
                );
            }
            !same
        });
        // Less up to a tenth, so that proxies begun together do not ask together for ever.
        self.interval.saturating_sub(backoff(self.interval / 10, self.interval, 0, draw()))
    }

    /// Takes a failure; what is known stays.
    fn failed(&mut self, why: &str) -> Duration {
        self.meters.failed();
        let resolved = matches!(*self.known.borrow(), Known::Addresses(_));
        // Not each: the metric counts them.
        if let Some(told) = self.telling.failed(Instant::now()) {
            tracing::warn!(
                upstream = self.upstream,
                host = self.host,
                why,
                failures = told.failures,
                "upstream name does not resolve; {}",
                if resolved { "using the last known addresses" } else { "no address is known" }
            );
        }
        let round = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        if !resolved {
            self.known.send_replace(Known::Unresolved(why.into()));
        }
        backoff(FIRST_PAUSE, self.interval, round, draw())
    }
}
