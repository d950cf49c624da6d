//! The one loop: a schedule of intended starts, one client, one measurement. Open or closed, a
//! plain run or the slices of a comparison, it is always this.

/// Waking at a moment.
mod alarm;
/// When requests should start.
pub mod schedule;
/// Readers that are slow on purpose.
pub mod slow;
/// Threads that each run the loop.
pub mod worker;

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::client::{FailureKind, Mono, Pace, Pool, SendOptions};
use crate::measure::Recorder;
use crate::request::RequestSource;

use alarm::Alarm;
use schedule::{Schedule, Start};
use slow::Slow;

/// Pause of a slot that could not connect: a closed loop would spin against a port where nobody
/// listens.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// What one pass of the loop does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// When requests should start.
    pub schedule: Schedule,
    /// Most requests in flight. In an open loop one that is due while all are taken waits, and its
    /// wait counts.
    pub slots: usize,
    /// No request starts later than this after the beginning.
    pub until: Option<Duration>,
    /// Requests due earlier than this after the beginning are sent, but not counted.
    pub warm_up: Duration,
    /// Pause of a slot between its requests.
    pub think: Duration,
    /// How each request is done.
    pub options: SendOptions,
    /// Which of them are read slowly; none if `None`.
    pub slow: Option<Slow>,
}

/// Where a worker's requests go, and what they are.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The connections.
    pub pool: Arc<Pool>,
    /// The requests.
    pub ask: Arc<RequestSource>,
}

/// Which of the schedule's requests are this worker's: every `of`th, from the `nth` on.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// From 0.
    pub nth: usize,
    /// At least 1.
    pub of: usize,
}

/// Sends what `plan` says over `destination`, until its schedule ends or `stop` turns true, and then
/// waits for all that is in flight: what was started is never cut.
///
/// Must run on a local runtime, since each request is a local task. Dropping the future leaves
/// those tasks to the runtime's end.
pub async fn drive(
    plan: Plan,
    destination: &Destination,
    share: Share,
    recorder: &Recorder,
    stop: &mut watch::Receiver<bool>,
) -> io::Result<()> {
    let alarm = Alarm::new()?;
    let begin = Mono::now();
    let (free, mut slots) = mpsc::channel(plan.slots);
    for _ in 0..plan.slots {
        // Cannot fail: the channel holds as many as there are slots.
        let _ = free.try_send(begin);
    }
    let pass = Rc::new(PassState {
        destination: destination.clone(),
        recorder: recorder.clone(),
        counted_from: begin.after(plan.warm_up),
        options: plan.options,
        slow: plan.slow,
        think: plan.think,
        free,
    });
    let mine = plan.schedule.enumerate().skip(share.nth).step_by(share.of);
    for (id, start) in mine {
        let due = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            due = due(start, begin, &alarm, &mut slots) => due?,
        };
        if plan.until.is_some_and(|until| due >= begin.after(until)) {
            drop(Slot(pass.free.clone()));
            break;
        }
        recorder.started();
        let slot = Slot(pass.free.clone());
        tokio::task::spawn_local(pass.clone().one(id as u64, due, slot));
    }
    for _ in 0..plan.slots {
        slots.recv().await;
    }
    Ok(())
}

/// Waits for the moment to start, and for a slot; says when the request was due.
async fn due(
    start: Start,
    begin: Mono,
    alarm: &Alarm,
    slots: &mut mpsc::Receiver<Mono>,
) -> io::Result<Mono> {
    let scheduled = match start {
        Start::At(offset) => {
            let moment = begin.after(offset);
            alarm.at(moment).await?;
            Some(moment)
        }
        Start::WhenFree => None,
    };
    // The sender lives as long as the pass, which the caller holds.
    let free_since = slots.recv().await.unwrap_or(begin);
    Ok(scheduled.unwrap_or(free_since))
}

/// What the requests of one pass share.
struct PassState {
    destination: Destination,
    recorder: Recorder,
    counted_from: Mono,
    options: SendOptions,
    slow: Option<Slow>,
    think: Duration,
    free: mpsc::Sender<Mono>,
}

impl PassState {
    async fn one(self: Rc<Self>, id: u64, due: Mono, slot: Slot) {
        let counted = due >= self.counted_from;
        let request = self.destination.ask.request(id);
        let pace = self.slow.map_or(self.options.pace, |slow| slow.pace_of(id));
        let options = SendOptions { pace, ..self.options };
        let mut watch = self.recorder.watch(counted && pace == Pace::Full);
        let outcome = self.destination.pool.send(&request, due, &options, &mut watch).await;
        let unconnected = outcome.failed() == Some(FailureKind::Connect);
        self.recorder.ended(id, outcome, counted);
        let pause = if unconnected { self.think.max(RECONNECT_PAUSE) } else { self.think };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        drop(slot);
    }
}

/// The right to one request in flight. Dropped in any way, a panic included, it is free again.
struct Slot(mpsc::Sender<Mono>);

impl Drop for Slot {
    fn drop(&mut self) {
        // Cannot be full: there are as many places as slots.
        let _ = self.0.try_send(Mono::now());
    }
}
