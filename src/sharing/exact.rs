//! Requests that are decided at the server, one round trip each.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::books::Now;
use super::exchange::Scripts;
use super::link::Lost;
use super::shared::{Shared, standing};
use crate::admit::{Deciding, Directory, Remote, Verdict};
use crate::config::{OnLoss, Redis};
use crate::record::RedisMeters;

/// One request's question.
pub(super) struct Take {
    wants: Vec<(String, u64)>,
    answer: oneshot::Sender<Decided>,
}

/// A verdict on its way. What was granted is given back if nobody takes it: whoever asked has gone on without it, or is
/// gone.
struct Decided {
    verdict: Verdict,
    wants: Vec<(String, u64)>,
    shared: Arc<Shared>,
}

impl Decided {
    fn taken(mut self) -> Verdict {
        self.wants.clear();
        self.verdict
    }
}

impl Drop for Decided {
    fn drop(&mut self) {
        if self.verdict == Verdict::Granted {
            self.shared.books().give_back(&self.wants);
        }
    }
}

/// Asks the thread that has the connection.
pub(super) struct Exact {
    asks: mpsc::Sender<Take>,
    shared: Arc<Shared>,
    meters: Arc<RedisMeters>,
    within: Duration,
    on_loss: OnLoss,
}

impl Exact {
    pub(super) fn new(
        redis: &Redis,
        asks: mpsc::Sender<Take>,
        shared: Arc<Shared>,
        meters: Arc<RedisMeters>,
    ) -> Self {
        Self { asks, shared, meters, within: redis.timeout, on_loss: redis.on_loss }
    }
}

impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exact").field("within", &self.within).finish_non_exhaustive()
    }
}

impl Remote for Exact {
    fn take(&self, wants: Vec<(String, u64)>) -> Deciding {
        let (answer, answered) = oneshot::channel();
        let sent = self.asks.try_send(Take { wants, answer });
        let (shared, meters) = (Arc::clone(&self.shared), Arc::clone(&self.meters));
        let (within, on_loss) = (self.within, self.on_loss);
        Box::pin(async move {
            let verdict = match sent {
                Ok(()) => tokio::time::timeout(within, answered).await,
                Err(_ended) => return Verdict::Lost,
            };
            let verdict = match verdict {
                Ok(Ok(decided)) => decided.taken(),
                Ok(Err(_)) | Err(_) => Verdict::Lost,
            };
            meters.took(match verdict {
                Verdict::Granted => "granted",
                Verdict::Refused { .. } => "refused",
                Verdict::Lost => "lost",
            });
            if verdict == Verdict::Lost {
                // Those who come after need not wait as long; the thread says it and connects again.
                let instances = u32::try_from(shared.sharing.instances()).unwrap_or(u32::MAX);
                shared.sharing.set(standing(on_loss), instances);
                shared.silent.notify_one();
            }
            verdict
        })
    }
}

/// On the connection's thread: sends each question as it comes, and does not wait for its answer with the next.
pub(super) async fn serve(
    mut takes: mpsc::Receiver<Take>,
    scripts: Scripts,
    shared: Arc<Shared>,
    directory: Arc<Directory>,
) {
    while let Some(take) = takes.recv().await {
        tokio::spawn(decide(take, scripts.clone(), Arc::clone(&shared), Arc::clone(&directory)));
    }
}

async fn decide(take: Take, scripts: Scripts, shared: Arc<Shared>, directory: Arc<Directory>) {
    let Take { wants, answer } = take;
    let now = || {
        let instant = Instant::now();
        let crate::admit::Now { nanos, unix } = directory.now(instant);
        Now { instant, nanos, unix }
    };
    let asks = shared.books().wants(&wants, now());
    let reply = match (shared.link(), asks) {
        (Some(link), Some(asks)) => scripts.ask(&link, &asks).await,
        _ => Err(Lost::Timeout),
    };
    let verdict = match &reply {
        Ok(reply) => reply.refused.map_or(Verdict::Granted, |nth| {
            let wait = reply.told.get(nth).map(|told| told.wait).filter(|wait| *wait > 0);
            Verdict::Refused { nth, wait: wait.map(|millis| millis.saturating_mul(1_000_000)) }
        }),
        Err(_lost) => Verdict::Lost,
    };
    if let (Ok(reply), Verdict::Granted) = (reply, verdict) {
        shared.books().learn(&wants, reply.told, now());
    }
    drop(answer.send(Decided { verdict, wants, shared }));
}
