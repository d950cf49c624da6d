//! The clients of a soak: each of the slots does one exchange after the other and judges what came of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::client::{FailureKind, Mono, Outcome, Pool, Request, SendOptions, Watch};
use crate::random::Random;

use super::exchange_plan::{ExchangePlan, Form};

/// Bound on a request: many times what the slowest reader takes.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long after its end a request that ended upstream connections may still be the reason why another fails: the proxy
/// may find out as late as it sends.
const AFTERMATH: Duration = Duration::from_secs(1);
/// Faults told in words.
const WRONGS_KEPT: usize = 20;
/// Longest pause of a slot between two errands, in microseconds.
const PAUSE_US: usize = 40_000;

/// Ways to the proxy: by client's protocol, warm and cold.
pub(super) struct Ways {
    pub(super) http1: [Arc<Pool>; 2],
    pub(super) http2: [Arc<Pool>; 2],
}

/// What all slots know together.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tally {
    /// Requests that ended.
    pub(super) requests: u64,
    /// Complete answers, every byte compared.
    pub(super) whole: u64,
    /// Clients that left.
    pub(super) left: u64,
    /// Requests that failed because something was done to them.
    pub(super) broken: u64,
    /// Requests that failed because of what was done to another on the same upstream connection.
    pub(super) excused: u64,
    /// Body bytes received.
    pub(super) bytes: u64,
    /// Requests by kind.
    pub(super) kinds: BTreeMap<String, u64>,
    /// What was done, how often, and how it came out.
    pub(super) faults: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// What went wrong, the first few in words.
    pub(super) wrongs: Vec<String>,
    /// How much went wrong.
    pub(super) wrong: u64,
    /// Requests under way that end upstream connections, by upstream.
    #[serde(skip)]
    disturbers: [usize; 2],
    /// Until when the last of those before may show, by upstream.
    #[serde(skip)]
    disturbed: [Mono; 2],
}

impl Tally {
    /// Notes that connections of `upstream` are being ended; those who use it now are excused.
    pub(super) fn disturb(&mut self, upstream: usize) {
        self.disturbed[upstream] = Mono::now().after(AFTERMATH);
    }

    /// Whether connections of `upstream` may have been ended at any moment since `begin`.
    fn excuses(&self, upstream: usize, begin: Mono) -> bool {
        self.disturbers[upstream] > 0 || self.disturbed[upstream] >= begin
    }

    /// Notes something wrong.
    pub(super) fn blame(&mut self, why: String) {
        self.wrong += 1;
        if self.wrongs.len() < WRONGS_KEPT {
            self.wrongs.push(why);
        }
    }
}

/// One slot: exchange after exchange until `stop`, in storm and calm as `storm` says.
pub(super) async fn slot(
    ways: Rc<Ways>,
    tally: Rc<RefCell<Tally>>,
    mut random: Random,
    phase: Rc<RefCell<Phase>>,
) {
    while !phase.borrow().stop {
        let exchange = ExchangePlan::draw(&mut random, phase.borrow().storm);
        run(&ways, &tally, &exchange).await;
        tokio::time::sleep(Duration::from_micros(random.below(PAUSE_US) as u64)).await;
    }
}

/// What the slots are to do at present.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Phase {
    pub(super) storm: bool,
    pub(super) stop: bool,
}

async fn run(ways: &Ways, tally: &RefCell<Tally>, exchange: &ExchangePlan) {
    let request = match request(exchange) {
        Ok(request) => request,
        Err(error) => return tally.borrow_mut().blame(error.to_string()),
    };
    let pools = match exchange.client {
        crate::client::Protocol::Http1 => &ways.http1,
        _ => &ways.http2,
    };
    let pool = &pools[usize::from(exchange.cold)];
    let options = SendOptions { timeout: TIMEOUT, hash: true, pace: exchange.pace };
    let (begin, mut body) = (Mono::now(), Body::default());
    let shared = exchange.fault.is_some_and(|fault| fault.shared);
    tally.borrow_mut().disturbers[exchange.upstream] += usize::from(shared);
    let sending = pool.send(&request, begin, &options, &mut body);
    let outcome = match exchange.leaves {
        Some(after) => tokio::time::timeout(after, sending).await.ok(),
        None => Some(sending.await),
    };
    let mut tally = tally.borrow_mut();
    if shared {
        tally.disturbers[exchange.upstream] -= 1;
        tally.disturb(exchange.upstream);
    }
    let excused = tally.excuses(exchange.upstream, begin);
    let wrong = exchange.wrong(outcome.as_ref(), &request.body, &body.0, excused);
    note(&mut tally, exchange, outcome.as_ref(), body.0.len());
    if let Some(why) = wrong {
        let fault = exchange.fault.map_or("nothing", |fault| fault.name);
        let (kind, upstream) = (exchange.kind(), ["HTTP/2", "HTTP/1.1"][exchange.upstream]);
        tally.blame(format!(
            "{why} ({kind}, upstream {upstream}, injected fault: {fault}, {exchange:?})"
        ));
    }
}

fn note(tally: &mut Tally, exchange: &ExchangePlan, outcome: Option<&Outcome>, bytes: usize) {
    tally.requests += 1;
    tally.bytes += bytes as u64;
    *tally.kinds.entry(exchange.kind()).or_default() += 1;
    let ended = match outcome {
        None => "client left",
        Some(outcome) => outcome.failed().map_or("whole", FailureKind::name),
    };
    match (outcome.map(Outcome::ok), exchange.fault) {
        (None, _) => tally.left += 1,
        (Some(true), _) => tally.whole += 1,
        (Some(false), Some(_)) => tally.broken += 1,
        (Some(false), None) => tally.excused += 1,
    }
    if let Some(fault) = exchange.fault {
        *tally.faults.entry(fault.name).or_default().entry(ended).or_default() += 1;
    }
}

fn request(exchange: &ExchangePlan) -> Result<Request, crate::client::RequestError> {
    let path = ["/v1/chat/completions", "/one/v1/chat/completions"][exchange.upstream];
    let stream = exchange.form == Form::Stream;
    let prompt: String = "the prompt of nobody ".chars().cycle().take(exchange.prompt).collect();
    let body = serde_json::json!({
        "model": exchange.mark, "stream": stream, "messages": [{"role": "user", "content": prompt}],
    });
    let script = match exchange.form {
        Form::Echo => Some("echo"),
        _ => exchange.fault.map(|fault| fault.name),
    };
    let mut request = Request::post(path, body.to_string())?
        .header("x-mock-tokens", &exchange.tokens.to_string())?
        .header("x-mock-gap-us", &exchange.gap_us.to_string())?;
    if let Some(script) = script {
        request = request.header("x-mock-script", script)?;
    }
    Ok(request)
}

/// Keeps the whole body.
#[derive(Default)]
struct Body(Vec<u8>);

impl Watch for Body {
    fn read(&mut self, _at: Mono, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}
