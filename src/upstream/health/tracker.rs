//! One worker's opinion of an upstream, with all that changes it and whoever is told.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Change, Health, Probes};
use crate::config::{HealthPolicy, Upstream, UpstreamId};
use crate::record::Recorder;
use crate::upstream::outage::Outage;

/// One worker's opinion of an upstream, by what became of its requests.
pub struct HealthTracker {
    health: RefCell<Health>,
    /// The operator's name for it.
    name: String,
    recorder: Recorder,
    id: UpstreamId,
    /// What all workers say of it together.
    outage: Arc<Outage>,
    /// No configuration in force has it: what streams of an older one still see is nobody's news.
    retired: Cell<bool>,
}

impl HealthTracker {
    /// Well.
    pub fn new(
        policy: HealthPolicy,
        name: &str,
        recorder: Recorder,
        id: UpstreamId,
        outage: Arc<Outage>,
    ) -> Rc<Self> {
        let health = RefCell::new(Health::new(policy, Instant::now()));
        let (name, retired) = (name.to_owned(), Cell::new(false));
        Rc::new(Self { health, name, recorder, id, outage, retired })
    }

    /// Goes on as the operator means it now: by another policy, with or without probes.
    pub fn adopt(&self, meant: &Upstream, now: Instant) {
        let probes = if meant.probe.is_some() { Probes::Awaited } else { Probes::Never };
        self.health.borrow_mut().adopt(meant.health, probes, now);
    }

    /// Nobody asks it any more, and it is shown no more: its name may be another's from now on.
    pub fn retire(&self) {
        let was_ejected = self.is_ejected();
        if !self.retired.replace(true) && was_ejected {
            let _nobodys_news = self.outage.returned(Instant::now());
        }
        self.recorder.upstream(self.id).ejected.set(0);
    }

    /// Whether a group may ask it now.
    pub fn allows(&self) -> bool {
        let health = self.health.borrow();
        !health.is_ejected() || health.allows(Instant::now())
    }

    /// Out, or on trial.
    pub fn is_ejected(&self) -> bool {
        self.health.borrow().is_ejected()
    }

    /// A group asks it.
    pub fn asked(&self, now: Instant) {
        self.health.borrow_mut().asked(now);
    }

    /// A request failed there.
    pub fn failed(&self, now: Instant) {
        let change = self.health.borrow_mut().failed(now);
        self.tell(change);
    }

    /// A request was answered there; `first_byte` is how long that took to begin. The number of answers
    /// so far.
    pub fn answered(&self, now: Instant, first_byte: Duration) -> u64 {
        let mut health = self.health.borrow_mut();
        let change = health.answered(now, first_byte);
        let answers = health.answers();
        drop(health);
        self.tell(change);
        answers
    }

    /// A probe came back; as many failures in a row as `most` eject.
    pub fn probed(&self, now: Instant, well: bool, most: u32) {
        self.recorder.upstream(self.id).probed(well);
        let change = self.health.borrow_mut().probed(now, well, most);
        self.tell(change);
    }

    /// What [`HealthTracker::compare`] compares; `None` while too little is known, or it is out.
    pub fn first_byte(&self) -> Option<Duration> {
        let health = self.health.borrow();
        if health.is_ejected() { None } else { health.first_byte() }
    }

    /// Looks at its peers' [`HealthTracker::first_byte`].
    pub fn compare(&self, peers: &mut [Duration], now: Instant) {
        let change = self.health.borrow_mut().compare(peers, now);
        self.tell(change);
    }

    /// Watches over an answer that begins now.
    pub fn answer_guard(self: &Rc<Self>, now: Instant) -> AnswerGuard {
        AnswerGuard { tracker: Rc::clone(self), began: now }
    }

    fn tell(&self, change: Option<Change>) {
        if self.retired.get() {
            return;
        }
        let (upstream, meters) = (&self.name, self.recorder.upstream(self.id));
        match change {
            None => {}
            Some(Change::Ejected(cause, time)) => {
                let again = meters.ejected.get() > 0;
                meters.ejected_for(cause);
                if let Some((told, workers)) = self.outage.ejected(again, Instant::now()) {
                    let (cause, seconds, times) =
                        (cause.label(), time.as_secs_f64(), told.failures);
                    tracing::warn!(upstream, cause, seconds, times, workers, "upstream ejected");
                }
            }
            Some(Change::Returned) => {
                meters.ejected.set(0);
                if self.outage.returned(Instant::now()).is_some() {
                    tracing::info!(upstream, "upstream back in rotation");
                }
            }
        }
    }
}

/// An answer under way whose end its upstream is judged by. Dropped without a word (the client left, a
/// deadline of the client's own passed) it says nothing.
pub struct AnswerGuard {
    tracker: Rc<HealthTracker>,
    began: Instant,
}

impl AnswerGuard {
    /// The answer came to its end.
    pub fn ended(self) {
        let change = self.tracker.health.borrow_mut().ended(Instant::now(), self.began);
        self.tracker.tell(change);
    }

    /// The upstream cut it, or fell silent.
    pub fn cut(self) {
        let change = self.tracker.health.borrow_mut().cut(Instant::now(), self.began);
        self.tracker.tell(change);
    }
}
