//! The thread that has the connections: makes them, says that this process is there, and hears what others have.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use redis::{Cmd, Value};
use tokio::sync::mpsc;

use super::reading::Reading;
use super::shared::Shared;
use super::wire::{Link, Lost};
use super::{finding, orders, present, publishing, sending};
use crate::config::Redis;
use crate::error::Kind;
use crate::streams::{End, KeptStream};

/// Between two words that this process is there, and how long each holds.
const BEAT: Duration = Duration::from_secs(1);
const HOLD: Duration = Duration::from_secs(3);
/// No process is missed before everybody had the time to connect again and say a word.
const GRACE: Duration = Duration::from_secs(5);
/// Orders to a process that is gone are forgotten by then.
const FORGET: Duration = Duration::from_secs(60);
/// Before the first further attempt to connect, and before each after many.
const SOON: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_secs(2);
/// How long the end waits to say how streams ended.
const FAREWELL: Duration = Duration::from_millis(500);
/// How many times `redis.timeout` a command may take.
const PATIENT: u32 = 10;

/// The thread's own.
pub(super) struct Driver {
    redis: Redis,
    shared: Arc<Shared>,
    /// Since when it cannot be used, and why, as was said.
    lost: Option<(Instant, &'static str)>,
    pause: Duration,
    /// When subscribers were last listed.
    listed: Cell<Option<Instant>>,
}

impl Driver {
    pub(super) fn new(redis: Redis, shared: Arc<Shared>) -> Self {
        Self { redis, shared, lost: None, pause: SOON, listed: Cell::new(None) }
    }

    /// Until told to stop; then says how the last streams ended.
    pub(super) async fn run(mut self, begun: mpsc::Receiver<Arc<KeptStream>>) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(take(Arc::clone(&shared), begun));
        tokio::spawn(sweep(Arc::clone(&shared)));
        tokio::select! {
            () = self.go_on() => {}
            () = shared.stop.notified() => {}
        }
        self.leave().await;
    }

    async fn go_on(&mut self) {
        loop {
            let lost = match self.connect().await {
                Ok((commands, reads)) => self.use_both(&commands, &reads).await,
                Err(lost) => lost,
            };
            self.lose(&lost);
            tokio::time::sleep(self.pause).await;
        }
    }

    /// Both connections, with all that was missed on the way to be read.
    async fn connect(&self) -> Result<(Link, Link), Lost> {
        let within = self.redis.timeout * PATIENT;
        let commands = Link::connect(&self.redis, within).await?;
        let reads = Link::connect(&self.redis, within).await?;
        self.beat(&commands).await?;
        orders::look_again(&self.shared, &commands).await?;
        publishing::look_again(&self.shared, &commands).await?;
        Ok((commands, reads))
    }

    /// Until one of them is lost; why.
    async fn use_both(&mut self, commands: &Link, reads: &Link) -> Lost {
        let shared = Arc::clone(&self.shared);
        // What was said of the connections before is no news of these.
        let _old = tokio::time::timeout(Duration::ZERO, shared.broken.notified()).await;
        shared.set_link(Some(commands.clone()));
        self.pause = SOON;
        let address = &self.redis.address;
        if let Some((since, _)) = self.lost.take() {
            let seconds = since.elapsed().as_secs_f64();
            tracing::info!(%address, seconds, "redis is back: streams and events are shared again");
        } else {
            tracing::info!(%address, "streams and events are shared through redis");
        }
        let reading = Reading::new(&shared);
        tokio::select! {
            lost = self.watch(commands) => lost,
            lost = reading.read(reads) => lost,
            lost = wake(&shared, commands) => lost,
            () = shared.broken.notified() => Lost::Timeout,
        }
    }

    /// Says a word from time to time, and looks who says none.
    async fn watch(&self, link: &Link) -> Lost {
        let begun = Instant::now();
        loop {
            tokio::time::sleep(BEAT).await;
            if let Err(lost) = self.beat(link).await {
                return lost;
            }
            self.shared.own().let_go(Instant::now());
            if begun.elapsed() > GRACE
                && let Err(lost) = self.look_for_orphans(link).await
            {
                return lost;
            }
        }
    }

    async fn beat(&self, link: &Link) -> Result<(), Lost> {
        let (shared, keys) = (&self.shared, &self.shared.keys);
        let unix_ms = unix_ms();
        let mut commands = Vec::with_capacity(8);
        let mut command = redis::cmd("SET");
        command.arg(keys.alive(&keys.me)).arg("1").arg("PX").arg(HOLD.as_millis() as u64);
        commands.push(command);
        let mut command = redis::cmd("PEXPIRE");
        command.arg(keys.orders(&keys.me)).arg(FORGET.as_millis() as u64);
        commands.push(command);
        for (instance, streams) in shared.mirrors().read() {
            commands.push(orders::read(keys, &instance, &streams));
        }
        if self.listed.get().is_none_or(|then| then.elapsed() >= present::EACH) {
            self.listed.set(Some(Instant::now()));
            commands.extend(present::written(shared, unix_ms));
        }
        commands.extend(shared.names().touches(keys, Instant::now(), unix_ms));
        for told in link.send_all(commands).await? {
            told.extract_error().map_err(|error| Lost::Answer(crate::redis::shown(&error)))?;
        }
        Ok(())
    }

    /// Streams of processes that are gone end here where they end in Redis.
    async fn look_for_orphans(&self, link: &Link) -> Result<(), Lost> {
        let shared = &self.shared;
        let instances: Vec<_> = shared.mirrors().instances().into_iter().collect();
        let exists = |instance: &str| {
            let mut command = redis::cmd("EXISTS");
            command.arg(shared.keys.alive(instance));
            command
        };
        let commands: Vec<Cmd> = instances.iter().map(|instance| exists(instance)).collect();
        let told = link.send_all(commands).await?;
        let alive = instances.into_iter().zip(told);
        let alive: HashSet<_> = alive
            .filter(|(_, told)| *told == Value::Int(1))
            .map(|(instance, _)| instance)
            .collect();
        let orphans = shared.mirrors().orphans(&alive);
        for id in orphans {
            loop {
                let Some(cursor) = shared.mirrors().get_mut(id).map(|mirror| mirror.cursor) else {
                    break;
                };
                let page = finding::page(shared, link, id, Some(cursor)).await?;
                let is_all = page.len() < finding::PAGE;
                let mut mirrors = shared.mirrors();
                mirrors.take(id, &page);
                if is_all && let Some(mirror) = mirrors.get_mut(id) {
                    mirror.stream.end(End::Cut(Kind::StreamCut));
                }
                if is_all {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Said once for each loss, and again where the reason is another.
    fn lose(&mut self, why: &Lost) {
        self.shared.meters.failed(why.word());
        self.shared.set_link(None);
        let before = self.lost.take();
        if before.is_none_or(|(_, word)| word != why.word()) {
            let address = &self.redis.address;
            tracing::error!(
                %address,
                "redis: {why}; streams and events are not shared: streams of other processes cannot be \
                 resumed here, and nothing is published, until it is back"
            );
        }
        self.pause = if before.is_some() { (self.pause * 2).min(LATE) } else { SOON };
        self.lost = Some((before.map_or_else(Instant::now, |(since, _)| since), why.word()));
    }

    async fn leave(&self) {
        let shared = &self.shared;
        let Ok(link) = shared.link() else { return };
        let leaving = async {
            // Workers are gone by now: all streams are over, and their writers are about to say so.
            while shared.own().len() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let keys = &shared.keys;
            let mut command = redis::cmd("DEL");
            command
                .arg(keys.alive(&keys.me))
                .arg(keys.orders(&keys.me))
                .arg(keys.present(&keys.me));
            let _whatever_comes_of_it = link.send(&command).await;
        };
        let _in_time = tokio::time::timeout(FAREWELL, leaving).await;
    }
}

/// Streams that begin here, each with a writer of its own.
async fn take(shared: Arc<Shared>, mut begun: mpsc::Receiver<Arc<KeptStream>>) {
    while let Some(stream) = begun.recv().await {
        shared.own().insert(&stream);
        tokio::spawn(sending::send(Arc::clone(&shared), stream));
        let own = shared.own().len();
        shared.meters.streams(own, shared.mirrors().len());
    }
}

/// Adopted streams expire like those of this process, also where no worker sweeps.
async fn sweep(shared: Arc<Shared>) {
    loop {
        shared.adopted.notified().await;
        Arc::clone(&shared.registry).sweep_on().await;
    }
}

/// Says what is to be said at once. The connection that reads may wait for the wrong keys: an order to this process
/// itself ends that.
async fn wake(shared: &Shared, link: &Link) -> Lost {
    loop {
        let stops = shared.stops().clone();
        let keys = &shared.keys;
        let stopping = stops.iter().map(|(instance, id)| orders::stop(keys, instance, *id));
        let commands = stopping.chain([orders::wake(keys)]).collect();
        if let Err(lost) = link.send_all(commands).await {
            return lost;
        }
        shared.stops().drain(..stops.len());
        shared.changed.notified().await;
    }
}

pub(super) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
