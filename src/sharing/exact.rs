//! Requests that are decided at the server, one round trip each.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;

use super::exchange::Scripts;
use super::script::Reply;
use super::shared::{Shared, standing};
use crate::admit::{Deciding, Remote, Standing, Verdict};
use crate::config::Redis;
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
    /// What holds without an answer.
    on_loss: Standing,
}

impl Exact {
    pub(super) fn new(
        redis: &Redis,
        asks: mpsc::Sender<Take>,
        shared: Arc<Shared>,
        meters: Arc<RedisMeters>,
    ) -> Self {
        Self { asks, shared, meters, within: redis.timeout, on_loss: standing(redis.on_loss) }
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
        let connection = shared.silence.connection();
        Box::pin(async move {
            let verdict = match sent {
                Ok(()) => tokio::time::timeout(within, answered).await,
                Err(TrySendError::Full(_)) => return Verdict::Lost(on_loss),
                // By a reload: there is another one to ask, or none.
                Err(TrySendError::Closed(_)) => return Verdict::Undecided,
            };
            let verdict = match verdict {
                Ok(Ok(decided)) => decided.taken(),
                Ok(Err(_)) | Err(_) => Verdict::Lost(on_loss),
            };
            meters.took(match verdict {
                Verdict::Granted => "granted",
                Verdict::Refused { .. } => "refused",
                Verdict::Lost(_) => "lost",
                Verdict::Undecided => "undecided",
            });
            if let Verdict::Lost(_) = verdict {
                // The thread says it, and sees to it that those who come after go by what was known: before it has, this
                // process's own part is as if nobody had used anything.
                shared.silence.notice(connection);
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
    on_loss: Standing,
) {
    while let Some(take) = takes.recv().await {
        tokio::spawn(decide(take, scripts.clone(), Arc::clone(&shared), on_loss));
    }
}

async fn decide(take: Take, scripts: Scripts, shared: Arc<Shared>, on_loss: Standing) {
    let Take { wants, answer } = take;
    let asks = {
        let mut books = shared.books();
        let now = books.now();
        books.wants(&wants, now)
    };
    let verdict = match (shared.link(), asks) {
        (Some(link), Some(asks)) => match scripts.ask(&link, &asks).await {
            Ok(Reply { refused: None, told }) => {
                let mut books = shared.books();
                let now = books.now();
                books.learn(&wants, &asks, told, now);
                Verdict::Granted
            }
            Ok(Reply { refused: Some(nth), told }) => {
                let wait = told.get(nth).map(|told| told.wait).filter(|wait| *wait > 0);
                Verdict::Refused { nth, wait: wait.map(|millis| millis.saturating_mul(1_000_000)) }
            }
            Err(_lost) => Verdict::Lost(on_loss),
        },
        // A limit that this thread has not heard of yet, or no connection yet after a reload.
        _ => Verdict::Undecided,
    };
    drop(answer.send(Decided { verdict, wants, shared }));
}
