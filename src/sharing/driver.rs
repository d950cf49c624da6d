//! The thread that shares limits: exchanges with the server at an interval, and what holds while it cannot be used.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::books::{Books, Naming, Now};
use super::exact::{self, NoAnswer, Request};
use super::exchange::{Said, Scripts};
use super::link::{Link, Lost};
use super::shared::{Shared, standing};
use crate::admit::{Remote, Standing};
use crate::config::{OnLoss, Redis};
use crate::record::RedisMeters;

/// Between two exchanges, where nothing presses.
const INTERVAL: Duration = Duration::from_millis(100);
/// Between two exchanges, where a limiter used up half of its room.
const LEAST: Duration = Duration::from_millis(5);
/// Between two looks at all limits, those that nobody used too: there may be thousands.
const LOOK: Duration = Duration::from_millis(20);
/// Between two words that this instance is there, and how long each holds: who says none for so long is gone.
const BEAT: Duration = Duration::from_secs(1);
pub(super) const HOLD: Duration = Duration::from_secs(4);
/// Before the first further attempt to connect, and before each after many.
const SOON: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_secs(2);
/// How many times as long as a request may wait an exchange off the path may take.
const PATIENT: u32 = 10;
/// How long the end waits to tell the server what was taken last.
const FAREWELL: Duration = Duration::from_millis(500);
/// In how many exchanges, at most.
const FAREWELLS: usize = 4;

/// The thread's own.
pub(super) struct Driver {
    redis: Redis,
    shared: Arc<Shared>,
    scripts: Scripts,
    naming: Naming,
    /// Who decides each request, once there is a connection.
    remote: Option<Arc<dyn Remote>>,
    meters: Arc<RedisMeters>,
    /// Each limit goes on from what was known of it when there was a connection.
    has_fallen_back: bool,
    /// Since when it cannot be used, and why, as was said.
    lost: Option<(Instant, Lost)>,
    pause: Duration,
    beaten: Option<Instant>,
    /// When all limits were last looked at.
    looked: Option<Instant>,
}

impl Driver {
    pub(super) fn new(
        redis: Redis,
        naming: Naming,
        shared: Arc<Shared>,
        remote: Option<Arc<dyn Remote>>,
        meters: Arc<RedisMeters>,
    ) -> Self {
        let several = !redis.cluster || naming.one_slot;
        let scripts = Scripts::new(naming.me.as_str().into(), HOLD, several);
        Self {
            redis,
            shared,
            scripts,
            naming,
            remote,
            meters,
            has_fallen_back: false,
            lost: None,
            pause: SOON,
            beaten: None,
            looked: None,
        }
    }

    /// Until told to stop; then says what is left to say.
    pub(super) async fn run(mut self, requests: mpsc::Receiver<Request>) {
        self.books().move_to(self.naming.clone());
        if self.redis.exact {
            let (scripts, shared) = (self.scripts.clone(), Arc::clone(&self.shared));
            let after = self.redis.timeout * PATIENT;
            let no_answer = NoAnswer { standing: standing(self.redis.on_loss), after };
            tokio::spawn(exact::serve(requests, scripts, shared, no_answer));
        }
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            () = self.share() => {}
            () = shared.stop.notified() => {}
        }
        self.leave().await;
    }

    async fn share(&mut self) {
        loop {
            self.take_limits();
            let linked = self.link();
            match linked {
                _ if !self.books().has_limits() => self.let_go(),
                None => self.connect().await,
                Some(link) => {
                    let shared = Arc::clone(&self.shared);
                    let synced = tokio::select! {
                        synced = self.sync(&link, false) => synced,
                        () = shared.silence.noticed() => Err(Lost::Timeout),
                    };
                    if let Err(lost) = synced {
                        self.lose(lost);
                    }
                }
            }
            if let Err(lost) = self.wait().await {
                self.lose(lost);
            }
        }
    }

    /// Until the next look: soon where a limiter runs out of room.
    async fn wait(&self) -> Result<(), Lost> {
        if self.link().is_none() {
            tokio::time::sleep(if self.lost.is_some() { self.pause } else { INTERVAL }).await;
            return Ok(());
        }
        let until_next = async {
            tokio::time::sleep(LEAST).await;
            let rest = INTERVAL.saturating_sub(LEAST);
            tokio::select! {
                () = self.shared.sharing.hurried() => {}
                () = tokio::time::sleep(rest) => {}
            }
        };
        tokio::select! {
            () = until_next => Ok(()),
            () = self.shared.silence.noticed() => Err(Lost::Timeout),
        }
    }

    /// Says what was taken, hears what is left, and grants rooms.
    async fn sync(&mut self, link: &Link, everything: bool) -> Result<(), Lost> {
        let now = self.now();
        let began = now.instant;
        let all = everything || self.looked.is_none_or(|then| began - then >= LOOK);
        if all {
            self.looked = Some(began);
        }
        self.give_back(link).await?;
        let due = self.beaten.is_none_or(|then| now.instant - then >= BEAT);
        let asks = {
            let mut books = self.books();
            books.collect(all, now);
            books.asks(everything, BEAT, now)
        };
        if !asks.is_empty() || due {
            let beat = due.then(|| self.naming.instances());
            let said = Said { asks, beat };
            let heard = self.scripts.exchange(link, said, self.redis.timeout * PATIENT).await?;
            let now = self.now();
            self.meters.synced(now.instant - began);
            if heard.instances.is_some() {
                self.beaten = Some(now.instant);
            }
            let mut books = self.books();
            if let Some(instances) = heard.instances {
                books.share_among(instances.max(1));
            }
            heard.told.into_iter().for_each(|(key, told)| books.heard(&key, told, now));
        }
        let (instances, limits, overshoot) = {
            let mut books = self.books();
            let now = books.now();
            let overshoot = books.rest(now);
            (books.instances(), books.len(), overshoot)
        };
        self.meters.connected(true, instances);
        self.meters.leased(limits as u64, overshoot);
        let instances = u32::try_from(instances).unwrap_or(u32::MAX);
        self.shared.sharing.set(Standing::Leased, instances);
        Ok(())
    }

    /// What requests took whose answers were lost.
    async fn give_back(&self, link: &Link) -> Result<(), Lost> {
        let lost = self.books().lost_takes();
        for (take, asks) in lost {
            let asked = self.scripts.ask(link, &asks, Some(&take));
            let within = self.redis.timeout * PATIENT;
            tokio::time::timeout(within, asked).await.unwrap_or(Err(Lost::Timeout))?;
            self.books().settle(&take);
        }
        Ok(())
    }

    async fn connect(&mut self) {
        let connected = match Link::connect(&self.redis).await {
            // What everybody took while it was gone, before anything is granted.
            Ok(link) => {
                self.beaten = None;
                self.sync(&link, true).await.map(|()| link)
            }
            Err(lost) => Err(lost),
        };
        match connected {
            Ok(link) => {
                self.books().grant_unused();
                self.has_fallen_back = false;
                self.shared.silence.connected();
                *self.shared.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
                self.shared.sharing.decided_by(self.remote.clone());
                let instances = self.books().instances();
                let address = &self.redis.address;
                if let Some((since, _)) = self.lost.take() {
                    let seconds = since.elapsed().as_secs_f64();
                    tracing::info!(%address, instances, seconds, "redis is back: limits are shared again");
                } else {
                    tracing::info!(%address, instances, "limits are shared through redis");
                }
                self.pause = SOON;
            }
            Err(lost) => self.lose(lost),
        }
    }

    /// Said once for each loss, and again where the reason is another.
    fn lose(&mut self, why: Lost) {
        self.meters.failed(why.word());
        drop(self.shared.link.lock().unwrap_or_else(PoisonError::into_inner).take());
        let now = self.now();
        let standing = standing(self.redis.on_loss);
        let instances = {
            let mut books = self.books();
            // Without a connection so far too: another server's limits were taken over from a thread before this one.
            if !self.has_fallen_back {
                books.fall_back(now);
            }
            books.instances()
        };
        self.has_fallen_back = true;
        self.shared.sharing.set(standing, u32::try_from(instances).unwrap_or(u32::MAX));
        self.meters.connected(false, instances);
        let said = self.lost.as_ref().is_some_and(|(_, before)| before.word() == why.word());
        if !said {
            let address = &self.redis.address;
            let then = match self.redis.on_loss {
                OnLoss::Local => {
                    format!("each process enforces its part, 1/{instances} of each limit")
                }
                OnLoss::Deny => "requests of clients with limits are rejected".to_owned(),
                OnLoss::Allow => "limits are not enforced".to_owned(),
            };
            tracing::error!(%address, "redis: {why}; limits are not shared; on_loss: {then}");
        }
        let since = self.lost.as_ref().map_or(now.instant, |(since, _)| *since);
        self.pause = if self.lost.is_some() { (self.pause * 2).min(LATE) } else { SOON };
        self.lost = Some((since, why));
    }

    /// No limit to share: no connection.
    fn let_go(&mut self) {
        drop(self.shared.link.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.beaten = None;
    }

    async fn leave(&mut self) {
        if self.shared.is_last.load(Relaxed) {
            self.shared.sharing.decided_by(None);
            let mut books = self.books();
            let now = books.now();
            books.stand_alone(now);
        }
        let Some(link) = self.link() else { return };
        let leaving = async {
            for _ in 0..FAREWELLS {
                let now = self.now();
                let asks = {
                    let mut books = self.books();
                    books.collect(true, now);
                    books.farewell(now)
                };
                let said = Said { asks, beat: None };
                // Whatever comes of it, there is no later.
                let Ok(heard) = self.scripts.exchange(&link, said, FAREWELL).await else { break };
                let mut books = self.books();
                let now = books.now();
                heard.told.into_iter().for_each(|(key, told)| books.heard(&key, told, now));
                // What was sent before and not heard of goes first, as it was sent.
                if !books.owes() {
                    break;
                }
            }
            let _left = self.scripts.beat(&link, self.naming.instances(), true).await;
        };
        let _in_time = tokio::time::timeout(FAREWELL, leaving).await;
    }

    fn take_limits(&mut self) {
        let next = self.shared.limits.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(directory) = next {
            let mut books = self.books();
            books.follow(directory);
            books.grant_unused();
        }
    }

    fn link(&self) -> Option<Link> {
        self.shared.link()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.shared.books()
    }

    fn now(&self) -> Now {
        self.books().now()
    }
}
