//! The thread from one configuration to the next, and what streams and events ask of it.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::sync::mpsc;

use super::driver::Driver;
use super::shared::Shared;
use super::wire::Keys;
use super::{finding, present, publishing};
use crate::config::{Config, Events, Redis};
use crate::error::Kind;
use crate::events::{self, Draft, EventRoutes, Key, Later, Others, Topic};
use crate::record::Hub;
use crate::streams::{self, End, KeptStream, Owner, Registry, Sought, StreamId};

/// Streams that began and that the thread has not seen; more are not shared.
const BEGUN: usize = 65_536;

/// Shares the streams and events of the configuration in force, where that says so.
pub(crate) struct Fanout {
    hub: Arc<Hub>,
    running: Mutex<Option<Thread>>,
}

struct Thread {
    redis: Redis,
    shared: Arc<Shared>,
    handle: JoinHandle<()>,
}

/// As streams and events know it.
struct Elsewhere(Arc<Shared>);

impl Fanout {
    pub(crate) fn new(hub: &Arc<Hub>) -> Self {
        Self { hub: Arc::clone(hub), running: Mutex::default() }
    }

    /// What is in force from now on. The connections stay where the section `redis` did not change; otherwise they are
    /// closed and made anew, and what others had of this process's streams is all that they get. Waits for nothing.
    pub(crate) fn follow(&self, config: &Config, streams: &Arc<Registry>, events: &EventRoutes) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let keeps =
            config.routes.iter().any(|route| route.resume.is_some() || route.events.is_some());
        let redis = config.redis.as_ref().filter(|_| keeps);
        if redis != running.as_ref().map(|thread| &thread.redis) {
            let before = running.take();
            *running = redis.and_then(|redis| self.start(redis, streams, before));
        }
        let elsewhere =
            running.as_ref().map(|thread| Arc::new(Elsewhere(Arc::clone(&thread.shared))));
        if let Some(thread) = &*running {
            thread.shared.set_events(events.clone());
        }
        let of_streams = elsewhere.as_ref().map(|it| Arc::clone(it) as Arc<dyn streams::Elsewhere>);
        streams.set_elsewhere(of_streams);
        for topics in events.all() {
            let of_events =
                elsewhere.as_ref().map(|it| Arc::clone(it) as Arc<dyn events::Elsewhere>);
            topics.share(of_events);
        }
    }

    /// Says how the last streams ended, and ends. Waits for that, half a second at most beside what a thread takes.
    pub(crate) fn stop(&self) {
        let thread = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.end();
        }
    }

    fn shared(&self) -> Option<Arc<Shared>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(|thread| Arc::clone(&thread.shared))
    }

    fn start(
        &self,
        redis: &Redis,
        streams: &Arc<Registry>,
        before: Option<Thread>,
    ) -> Option<Thread> {
        self.hub.fanout().configured();
        let (begun, begins) = mpsc::channel(BEGUN);
        let (streams, hub) = (Arc::clone(streams), Arc::clone(&self.hub));
        let keys = Keys::new(&redis.prefix, &instance());
        let shared = Arc::new(Shared::new(keys, streams, hub, begun));
        let driver = Driver::new(redis.clone(), Arc::clone(&shared));
        let spawned = std::thread::Builder::new().name("fanout".into()).spawn(move || {
            if let Some(before) = before {
                before.end();
            }
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    runtime.block_on(driver.run(begins));
                    // A name that is being resolved holds up no end.
                    runtime.shutdown_background();
                }
                Err(error) => {
                    tracing::error!(%error, "streams and events are not shared: no runtime");
                }
            }
        });
        match spawned {
            Ok(handle) => Some(Thread { redis: redis.clone(), shared, handle }),
            Err(error) => {
                tracing::error!(%error, "streams and events are not shared: no thread");
                None
            }
        }
    }
}

impl Others for Fanout {
    fn connected(&self) -> Later<Option<String>> {
        match self.shared() {
            Some(shared) => Box::pin(async move { present::all(&shared).await.map(Some) }),
            None => Box::pin(async { Ok(None) }),
        }
    }

    fn find(&self, request: &str) -> Later<Option<String>> {
        let request = request.to_owned();
        match self.shared() {
            Some(shared) => Box::pin(async move { present::find(&shared, &request).await }),
            None => Box::pin(async { Ok(None) }),
        }
    }

    fn send(&self, process: String, request: &str, drafts: Vec<Draft>) -> Later<()> {
        let request = request.to_owned();
        match self.shared() {
            Some(shared) => {
                Box::pin(async move { present::send(&shared, &process, &request, drafts).await })
            }
            None => Box::pin(async { Err(Kind::SharedStoreLost.into()) }),
        }
    }
}

impl Thread {
    fn end(self) {
        self.shared.stop.notify_one();
        let _ended = self.handle.join(); // one that panicked has said so
    }
}

impl streams::Elsewhere for Elsewhere {
    fn begun(&self, stream: &Arc<KeptStream>) {
        if self.0.begun.try_send(Arc::clone(stream)).is_err() {
            self.0.meters.unshared();
        }
    }

    fn find(&self, id: StreamId, owner: &Owner) -> Sought {
        Box::pin(finding::find(Arc::clone(&self.0), id, owner.clone()))
    }

    fn stop(&self, stream: &Arc<KeptStream>) {
        let id = stream.id();
        let instance = self.0.mirrors().get_mut(id).map(|mirror| mirror.instance.clone());
        // One that is no mirror any more has ended.
        if let Some(instance) = instance {
            self.0.stops().push((instance, id));
            self.0.changed.notify_one();
        }
        stream.end(End::Stopped);
    }
}

impl events::Elsewhere for Elsewhere {
    fn publish(&self, key: Key, drafts: Vec<Draft>, bounds: &Events) -> Later<Box<str>> {
        Box::pin(publishing::publish(Arc::clone(&self.0), key, drafts, bounds.clone()))
    }

    fn follow(&self, key: Key, topic: &Arc<Topic>, bounds: &Events) -> Later<()> {
        Box::pin(publishing::follow(Arc::clone(&self.0), key, Arc::clone(topic), bounds.clone()))
    }
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redis")
    }
}

/// A name that no other process has. Random by the keys that the standard library takes from the kernel for its maps.
fn instance() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
