//! Tells other processes of a stream that is read here: its bytes in batches, and its end.
//!
//! Nobody waits for that. The stream's ring is the queue: a writer that falls behind it, or whose server is gone for
//! longer than the ring lasts, says that the stream is cut there, and others have it up to that place.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use redis::Cmd;

use super::held::{word, written};
use super::shared::Shared;
use super::wire::{Link, Lost, shown};
use crate::error::Kind;
use crate::streams::{End, Found, KeptStream, Tail};

/// Bytes of an entry, at most; a batch is one.
const BATCH: usize = 64 * 1024;
/// Between two entries of a stream, at least: a token each would cost the server more than it says.
const GAP: Duration = Duration::from_millis(5);
/// Keys are kept for so long at least where their writer is gone.
const LEAST_HOLD: Duration = Duration::from_secs(60);

/// What is to be written next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Bytes behind the last that were written.
    Bytes(Vec<u8>),
    /// The end.
    Over(End),
    /// The ring went on without this writer.
    Lost,
    /// Nothing: only that the keys are to stay.
    Touch,
}

/// Until the stream's end is there, or nobody here has the stream any more.
pub(super) async fn send(shared: Arc<Shared>, stream: Arc<KeptStream>) {
    let id = stream.id();
    let mut writer = Writer::new(&shared, stream);
    let end = writer.write().await;
    if end == Some(Next::Lost) {
        shared.meters.unshared();
        tracing::warn!(stream = id.short(), "redis fell behind a stream: others have it cut");
    }
    drop(writer);
    let left = {
        let mut own = shared.own();
        own.remove(id);
        own.len()
    };
    shared.meters.streams(left, shared.mirrors().len());
}

struct Writer<'a> {
    shared: &'a Shared,
    tail: Tail,
    /// Until then nothing more is written.
    rests: Instant,
    touched: Instant,
    hold: Duration,
    /// The connection on which the stream was last said to be there.
    told: u64,
}

impl<'a> Writer<'a> {
    fn new(shared: &'a Shared, stream: Arc<KeptStream>) -> Self {
        let hold = stream.made().keeps.ttl.max(LEAST_HOLD);
        let (tail, now) = (Tail::new(stream, 0), Instant::now());
        Self { shared, tail, rests: now, touched: now, hold, told: 0 }
    }

    fn stream(&self) -> &Arc<KeptStream> {
        self.tail.stream()
    }

    /// What was written last; `None` where it was given up.
    async fn write(&mut self) -> Option<Next> {
        self.put(&Next::Touch).await?;
        loop {
            let next = self.next().await;
            self.put(&next).await?;
            if matches!(next, Next::Over(_) | Next::Lost) {
                return Some(next);
            }
        }
    }

    async fn next(&mut self) -> Next {
        let quiet = tokio::time::sleep_until((self.touched + self.hold / 3).into());
        let found = tokio::select! {
            found = poll_fn(|cx| self.tail.poll_next(cx)) => found,
            () = quiet => return Next::Touch,
        };
        let mut batch = match found {
            Found::Bytes(bytes) => bytes.to_vec(),
            Found::Over(end) => return Next::Over(end),
            Found::Lost(_) => return Next::Lost,
        };
        // What comes in the meantime goes with it.
        tokio::time::sleep_until(self.rests.into()).await;
        while batch.len() < BATCH {
            let more = poll_fn(|cx| Poll::Ready(self.tail.poll_next(cx))).await;
            let Poll::Ready(Found::Bytes(bytes)) = more else { break };
            batch.extend_from_slice(&bytes);
        }
        Next::Bytes(batch)
    }

    /// Writes it on whatever connection there is, again where one was lost over it: an entry that is there already is
    /// refused by its id. `None` where nobody has the stream any more.
    async fn put(&mut self, next: &Next) -> Option<()> {
        loop {
            let (link, number) = tokio::select! {
                linked = self.shared.linked() => linked?,
                () = self.forgotten() => return None,
            };
            let fresh = self.told != number;
            match self.put_on(&link, next, fresh).await {
                Ok(()) => {
                    self.told = number;
                    self.touched = Instant::now();
                    self.rests = self.touched + GAP;
                    return Some(());
                }
                Err(lost) => {
                    self.shared.failed(&lost);
                    // A server that answers with errors is asked again later.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    if self.is_forgotten() {
                        return None;
                    }
                }
            }
        }
    }

    async fn put_on(&self, link: &Link, next: &Next, fresh: bool) -> Result<(), Lost> {
        let (id, keeps) = (self.stream().id(), self.stream().made().keeps);
        let [bytes, meta] = [self.shared.keys.bytes(id), self.shared.keys.meta(id)];
        let mut hold = self.hold;
        let mut commands = Vec::with_capacity(4);
        if fresh {
            let mut command = redis::cmd("HSET");
            command.arg(&meta);
            for (name, value) in written(self.stream().made(), &self.shared.keys.me) {
                command.arg(name).arg(value);
            }
            commands.push(command);
        }
        let end = self.tail.offset();
        match next {
            Next::Bytes(batch) => {
                let least = end.saturating_sub(keeps.bytes as u64);
                let mut command = redis::cmd("XADD");
                command.arg(&bytes).arg("MINID").arg("~").arg(least);
                command.arg(shown((end, 0))).arg("b").arg(batch.as_slice());
                commands.push(command);
            }
            Next::Over(end) => {
                hold = keeps.ttl;
                commands.push(self.end(&bytes, *end));
            }
            Next::Lost => commands.push(self.end(&bytes, End::Cut(Kind::StreamCut))),
            Next::Touch => {}
        }
        for key in [bytes, meta] {
            let mut command = redis::cmd("PEXPIRE");
            command.arg(key).arg(hold.as_millis().max(1) as u64);
            commands.push(command);
        }
        for told in link.send_all(commands).await? {
            if let Err(error) = told.extract_error()
                && !error.to_string().contains("equal or smaller")
            {
                return Err(Lost::Answer(crate::redis::shown(&error)));
            }
        }
        Ok(())
    }

    fn end(&self, key: &str, end: End) -> Cmd {
        let mut command = redis::cmd("XADD");
        command.arg(key).arg(shown((self.tail.offset(), 1))).arg("e").arg(word(end));
        command
    }

    /// The stream is over and the process has forgotten it: its bytes are held by this writer alone.
    fn is_forgotten(&self) -> bool {
        let stream = self.stream();
        let is_known = self.shared.registry.find(stream.id(), &stream.made().owner).is_some();
        !is_known && stream.log().extent().over.is_some()
    }

    async fn forgotten(&self) {
        while !self.is_forgotten() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
