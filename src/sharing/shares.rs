//! The thread that shares limits, from one configuration to the next.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::sync::{Notify, mpsc};

use super::books::{Books, Naming};
use super::driver::Driver;
use super::exact::Exact;
use super::shared::{Shared, Silence};
use crate::admit::{Directory, Remote, Sharing};
use crate::config::Redis;
use crate::record::RedisMeters;

/// Requests that wait for the server's word, with `exact`; more are decided as if it were lost.
const ASKED: usize = 65_536;

/// Shares the limits of the configuration in force, where that says so.
pub(crate) struct Shares {
    meters: Arc<RedisMeters>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    thread: Option<Thread>,
    /// Books so far: each is of an instance of its own, so that no count of one is taken for another's.
    made: u64,
}

struct Thread {
    redis: Redis,
    /// The instance's name.
    me: String,
    shared: Arc<Shared>,
    handle: JoinHandle<()>,
}

impl Shares {
    pub(crate) fn new(meters: &Arc<RedisMeters>) -> Self {
        Self { meters: Arc::clone(meters), running: Mutex::default() }
    }

    /// What is in force from now on. The connection stays where the section `redis` did not change; otherwise it is
    /// closed and made anew, and what was used of the limits is told there. Where nobody shares them any more, this
    /// process goes on by itself from what all have used. Waits for nothing.
    pub(crate) fn follow(&self, redis: Option<&Redis>, clients: Option<&Arc<Directory>>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = clients.and_then(|clients| Some((clients, clients.sharing()?)));
        let (Some(redis), Some((clients, sharing))) = (redis, shared) else {
            if let Some(thread) = running.thread.take() {
                thread.shared.is_last.store(true, Relaxed);
                thread.stop();
            }
            return;
        };
        self.meters.configured();
        if let Some(thread) = &running.thread
            && thread.redis == *redis
            && Arc::ptr_eq(&thread.shared.sharing, sharing)
        {
            let mut next = thread.shared.limits.lock().unwrap_or_else(PoisonError::into_inner);
            *next = Some(Arc::clone(clients));
            return;
        }
        let before = running.thread.take();
        let me = before.as_ref().map_or_else(
            || {
                running.made += 1;
                format!("{}-{}", instance(), running.made)
            },
            |before| before.me.clone(),
        );
        let naming =
            Naming { prefix: redis.prefix.clone(), me, one_slot: redis.cluster && redis.exact };
        running.thread = self.start(redis, clients, sharing, naming, before);
    }

    /// Tells the server what was taken last, and ends. Waits for that, half a second at most beside what a file or a
    /// thread takes.
    pub(crate) fn stop(&self) {
        let thread = self.running.lock().unwrap_or_else(PoisonError::into_inner).thread.take();
        if let Some(thread) = thread {
            thread.end();
        }
    }

    fn start(
        &self,
        redis: &Redis,
        clients: &Arc<Directory>,
        sharing: &Arc<Sharing>,
        naming: Naming,
        before: Option<Thread>,
    ) -> Option<Thread> {
        let me = naming.me.clone();
        let books = before.as_ref().map_or_else(
            || Arc::new(Mutex::new(Books::new(naming.clone(), Arc::clone(clients)))),
            |before| Arc::clone(&before.shared.books),
        );
        let shared = Arc::new(Shared {
            sharing: Arc::clone(sharing),
            limits: Mutex::new(Some(Arc::clone(clients))),
            link: Mutex::default(),
            books,
            stop: Notify::new(),
            is_last: AtomicBool::new(false),
            silence: Silence::default(),
        });
        let (asks, requests) = mpsc::channel(ASKED);
        let meters = Arc::clone(&self.meters);
        let exact = redis.exact.then(|| Exact::new(redis, asks, Arc::clone(&shared), meters));
        let remote = exact.map(|exact| Arc::new(exact) as Arc<dyn Remote>);
        // Nobody can be asked before there is a connection: until then leases go on.
        sharing.decided_by(None);
        let meters = Arc::clone(&self.meters);
        let driver = Driver::new(redis.clone(), naming, Arc::clone(&shared), remote, meters);
        let spawned = std::thread::Builder::new().name("redis".into()).spawn(move || {
            // What the one before has to say comes first, or its limits would be counted twice.
            if let Some(before) = before {
                before.end();
            }
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    runtime.block_on(driver.run(requests));
                    // A name that is being resolved holds up no end.
                    runtime.shutdown_background();
                }
                Err(error) => tracing::error!(%error, "limits are not shared: no runtime"),
            }
        });
        match spawned {
            Ok(handle) => Some(Thread { redis: redis.clone(), me, shared, handle }),
            Err(error) => {
                tracing::error!(%error, "limits are not shared: no thread");
                None
            }
        }
    }
}

impl Thread {
    fn stop(&self) {
        self.shared.stop.notify_one();
    }

    fn end(self) {
        self.stop();
        let _ended = self.handle.join(); // one that panicked has said so
    }
}

/// A name that no other process has. Random by the keys that the standard library takes from the kernel for its maps.
fn instance() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
