//! Carries out one script.

use bytes::{Bytes, BytesMut};

use super::Script;
use super::intake::Intake;
use super::sink::{Gone, Sink};
use super::step::{Head, Step, Tokens};
use crate::upstream::clock::{Clock, now_ns, ns};
use crate::upstream::log::End;
use crate::upstream::log::recorder::Entry;
use crate::upstream::stream::Stream;

/// What back-to-back frames are gathered into before the connection gets to write.
const BATCH: usize = 16 * 1024;
const FILLER_FRAME: u64 = 16 * 1024;

/// One script being carried out.
pub(in crate::upstream) struct Run<'a, S> {
    pub(in crate::upstream) sink: &'a mut S,
    pub(in crate::upstream) clock: &'a Clock,
    pub(in crate::upstream) intake: &'a Intake,
    pub(in crate::upstream) entry: &'a Entry,
    pub(in crate::upstream) stream: Stream,
    /// Deadlines count from here.
    pub(in crate::upstream) cursor: u64,
    pub(in crate::upstream) frames: u64,
    pub(in crate::upstream) bytes: u64,
    pub(in crate::upstream) head_sent: bool,
}

/// What a step did to the answer.
enum Flow {
    On,
    Over(End),
}

impl<S: Sink> Run<'_, S> {
    /// From the first step to the end of the answer.
    pub(in crate::upstream) async fn run(mut self, script: &Script) -> End {
        let ended = self.steps(script).await;
        self.note();
        match ended {
            Ok(end) => end,
            Err(Gone::Reset(code)) => End::Reset { code },
            Err(Gone::Closed) => End::PeerClosed,
            Err(Gone::Malformed(why)) => End::Malformed(why),
        }
    }

    async fn steps(&mut self, script: &Script) -> Result<End, Gone> {
        for (at, step) in script.steps.iter().enumerate() {
            // An end that follows at once rides on the last frame, as servers usually send it.
            let next = script.steps.get(at + 1);
            let last = next.is_none_or(|next| *next == Step::Finish);
            match self.step(step, last).await? {
                Flow::On => {}
                Flow::Over(End::Finished) => break,
                Flow::Over(end) => return Ok(end),
            }
        }
        // Also where the last frame was the end already: then this only lets it leave.
        self.sink.finish().await?;
        Ok(End::Finished)
    }

    async fn step(&mut self, step: &Step, last: bool) -> Result<Flow, Gone> {
        match step {
            Step::Wait(time) => {
                self.cursor = self.cursor.saturating_add(ns(*time));
                self.wait_until(self.cursor).await?;
            }
            Step::AwaitBody => {
                self.sink.flush().await?;
                self.until(async |intake| intake.ended().await).await?;
                self.cursor = now_ns();
            }
            Step::Informational(head) => self.sink.informational(head).await?,
            Step::Head(head) => self.head(head, last)?,
            Step::Finish | Step::FinishSeparately => return Ok(Flow::Over(End::Finished)),
            Step::Trailers(lines) => {
                self.sink.trailers(lines).await?;
                return Ok(Flow::Over(End::Finished));
            }
            Step::Tokens(tokens) => self.tokens(tokens, last).await?,
            Step::Done => self.frames(|stream| stream.done(now_ns()), last).await?,
            Step::Body(bytes) => self.passed(bytes.clone(), last).await?,
            Step::ErrorEvent(event) => {
                self.passed(format!("data: {}\n\n", event.json()).into(), last).await?;
            }
            Step::Filler(len) => self.filler(*len, last).await?,
            Step::Echo => return self.echo().await,
            Step::EchoSha256 => self.echo_sha256(last).await?,
            fault => return self.fault(fault).await,
        }
        Ok(Flow::On)
    }

    async fn fault(&mut self, step: &Step) -> Result<Flow, Gone> {
        self.sink.flush().await?;
        match step {
            Step::Stall => {
                self.note();
                return Err(self.sink.gone().await);
            }
            Step::Cut(how) => self.sink.cut(*how).await,
            Step::Reset(code) => self.sink.reset(*code).await,
            Step::Refuse => self.sink.refuse().await,
            Step::Goaway(which) => {
                let over = self.sink.goaway(*which).await;
                return Ok(if over { Flow::Over(End::Scripted) } else { Flow::On });
            }
            Step::Wire(bytes) => {
                // Over HTTP/1.1 it may have been the head.
                self.head_sent |= self.sink.has_raw_heads();
                self.sink.raw(bytes.clone()).await?;
                return Ok(Flow::On);
            }
            Step::EmptyFrames(count) => {
                self.sink.empty_frames(*count).await;
                return Ok(Flow::On);
            }
            _ => {}
        }
        Ok(Flow::Over(End::Scripted))
    }

    /// Emits whatever is due, all of it at once; the n-th frame is due at the cursor + n × `every`.
    async fn tokens(&mut self, tokens: &Tokens, last: bool) -> Result<(), Gone> {
        if self.frames == 0 {
            self.frames(|stream| stream.opening(now_ns()), false).await?;
        }
        let (start, every) = (self.cursor, ns(tokens.every));
        let mut sent = 0;
        let mut now = now_ns();
        while sent < tokens.count {
            let due = start.saturating_add(sent.saturating_mul(every));
            if now < due {
                self.wait_until(due).await?;
            }
            now = now_ns();
            let left = tokens.count - sent;
            let ready =
                now.saturating_sub(due).checked_div(every).map_or(left, |n| left.min(n + 1));
            let pack = tokens.pack.max(1);
            let most = (BATCH / tokens.bytes.max(300) / pack).max(1) * pack;
            let batch = ready.min(most as u64);
            sent += batch;
            self.batch(tokens, batch, now, last && sent == tokens.count).await?;
            if sent < tokens.count {
                self.sink.breathe().await;
            }
        }
        let last = tokens.count.saturating_sub(1);
        self.cursor = start.saturating_add(last.saturating_mul(every));
        Ok(())
    }

    async fn batch(
        &mut self,
        tokens: &Tokens,
        count: u64,
        now: u64,
        last: bool,
    ) -> Result<(), Gone> {
        let size = tokens.bytes.max(300) + 40;
        let mut out = BytesMut::with_capacity(size * count as usize);
        let pack = tokens.pack.max(1) as u64;
        let mut written = 0;
        while written < count {
            let now_packed = pack.min(count - written);
            for _ in 0..now_packed {
                self.stream.token(&mut out, tokens.bytes, now);
            }
            written += now_packed;
            let frame = out.split().freeze();
            let more = frame.len() * ((count - written) / pack) as usize;
            self.send(frame, more, last && written == count).await?;
        }
        Ok(())
    }

    async fn frames(
        &mut self,
        make: impl FnOnce(&mut Stream) -> Vec<Bytes>,
        last: bool,
    ) -> Result<(), Gone> {
        let frames = make(&mut self.stream);
        let count = frames.len();
        for (n, frame) in frames.into_iter().enumerate() {
            self.send(frame, 0, last && n + 1 == count).await?;
        }
        Ok(())
    }

    async fn filler(&mut self, len: u64, last: bool) -> Result<(), Gone> {
        let alphabet: Bytes = (b'a'..=b'z').cycle().take(FILLER_FRAME as usize + 26).collect();
        let mut at = 0;
        while at < len {
            let size = FILLER_FRAME.min(len - at);
            let from = (at % 26) as usize;
            let frame = alphabet.slice(from..from + size as usize);
            at += size;
            self.passed(frame, last && at == len).await?;
        }
        Ok(())
    }

    async fn echo(&mut self) -> Result<Flow, Gone> {
        loop {
            self.sink.flush().await?;
            let Some(piece) = self.until(async |intake| intake.next_echo().await).await? else {
                return Ok(Flow::On);
            };
            if !piece.is_empty() {
                self.passed(piece, false).await?;
            }
        }
    }

    async fn echo_sha256(&mut self, last: bool) -> Result<(), Gone> {
        self.sink.flush().await?;
        self.until(async |intake| intake.ended().await).await?;
        let (_, len, digest) = self.intake.summary();
        let json = serde_json::json!({"bytes": len, "sha256": digest}).to_string();
        self.passed(json.into(), last).await
    }

    /// A frame that the stream did not write itself.
    async fn passed(&mut self, frame: Bytes, last: bool) -> Result<(), Gone> {
        self.stream.passed(&frame);
        self.send(frame, 0, last).await
    }

    fn head(&mut self, head: &Head, last: bool) -> Result<(), Gone> {
        self.head_sent = true;
        self.entry.update(|request| request.answer_ns = Some(now_ns()));
        self.sink.head(head, last)
    }

    async fn send(&mut self, frame: Bytes, more: usize, last: bool) -> Result<(), Gone> {
        if !self.head_sent {
            // A body without a head is a script's shorthand.
            self.head(&Head::new(200), false)?;
        }
        self.frames += 1;
        self.bytes += frame.len() as u64;
        self.sink.data(frame, more, last).await
    }

    /// Waits, unless the peer leaves first; whatever was written leaves before.
    async fn wait_until(&mut self, due: u64) -> Result<(), Gone> {
        self.sink.flush().await?;
        self.note();
        tokio::select! {
            biased;
            gone = self.sink.gone() => Err(gone),
            () = self.clock.sleep_until(due) => Ok(()),
        }
    }

    async fn until<T>(&mut self, wait: impl AsyncFnOnce(&Intake) -> T) -> Result<T, Gone> {
        self.note();
        tokio::select! {
            biased;
            done = wait(self.intake) => Ok(done),
            gone = self.sink.gone() => Err(gone),
        }
    }

    /// Tells the log how far the answer is.
    fn note(&self) {
        let (frames, bytes) = (self.frames, self.bytes);
        self.entry.update(|request| {
            request.frames = frames;
            request.bytes = bytes;
        });
    }
}
