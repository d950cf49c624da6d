//! Requests that are decided at the server, one round trip each.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;

use super::exchange::Scripts;
use super::link::Link;
use super::script::{Ask, Reply, Take};
use super::shared::{Shared, standing};
use crate::admit::{Deciding, Remote, Standing, Verdict};
use crate::config::Redis;
use crate::record::RedisMeters;

/// One request's question.
pub(super) struct Request {
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
    asks: mpsc::Sender<Request>,
    shared: Arc<Shared>,
    meters: Arc<RedisMeters>,
    within: Duration,
    /// What holds without an answer.
    on_loss: Standing,
}

impl Exact {
    pub(super) fn new(
        redis: &Redis,
        asks: mpsc::Sender<Request>,
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
        let sent = self.asks.try_send(Request { wants, answer });
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
    mut requests: mpsc::Receiver<Request>,
    scripts: Scripts,
    shared: Arc<Shared>,
    no_answer: NoAnswer,
) {
    while let Some(request) = requests.recv().await {
        tokio::spawn(decide(request, scripts.clone(), Arc::clone(&shared), no_answer));
    }
}

async fn decide(request: Request, scripts: Scripts, shared: Arc<Shared>, no_answer: NoAnswer) {
    let Request { wants, answer } = request;
    let asked = {
        let mut books = shared.books();
        let now = books.now();
        // Without a connection nothing is begun.
        shared.link().and_then(|link| Some((link, books.wants(&wants, now)?)))
    };
    let verdict = match asked {
        Some((link, (take, asks))) => {
            let mut asking = Asking { take: Some((take, asks)), wants: &wants, shared: &shared };
            asking.ask(&scripts, &link, no_answer).await
        }
        // A limit that this thread has not heard of yet, or no connection yet after a reload.
        None => Verdict::Undecided,
    };
    drop(answer.send(Decided { verdict, wants, shared }));
}

/// What holds without an answer, and after what time none is waited for any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoAnswer {
    pub(super) standing: Standing,
    pub(super) after: Duration,
}

/// A question at the server. Dropped before its answer came, or given up, it is made void there as soon as that can be
/// told, and what it took is given back.
struct Asking<'a> {
    take: Option<(Take, Vec<Ask>)>,
    wants: &'a [(String, u64)],
    shared: &'a Shared,
}

impl Asking<'_> {
    async fn ask(&mut self, scripts: &Scripts, link: &Link, no_answer: NoAnswer) -> Verdict {
        let Some((take, asks)) = &self.take else { return Verdict::Undecided };
        let asked = scripts.ask(link, asks, Some(take));
        let Ok(Ok(reply)) = tokio::time::timeout(no_answer.after, asked).await else {
            return Verdict::Lost(no_answer.standing);
        };
        let mut books = self.shared.books();
        books.settle(take);
        let verdict = match reply {
            Reply { refused: None, told } => {
                let now = books.now();
                books.learn(self.wants, asks, told, now);
                Verdict::Granted
            }
            Reply { refused: Some(nth), told } => {
                let wait = told.get(nth).map(|told| told.wait).filter(|wait| *wait > 0);
                Verdict::Refused { nth, wait: wait.map(|millis| millis.saturating_mul(1_000_000)) }
            }
        };
        self.take = None;
        verdict
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some((take, asks)) = self.take.take() {
            self.shared.books().lose(self.wants, take, asks);
        }
    }
}
