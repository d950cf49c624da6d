//! One stream's bytes: a ring that one pump writes and any number of readers read, each at its own pace.
//!
//! Bytes are copied in, so that a small event holds no read buffer of an upstream's connection, and joined to blocks,
//! so that what is counted is what memory holds. The ring drops whole blocks. Nobody waits for a reader: one that was
//! overtaken finds that out when it reads.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;

use super::scan::Scan;
use crate::error::Kind;
use crate::record::StreamMeters;

/// Bytes of a block, at most; a ring has at least sixteen.
const BLOCK: usize = 16 * 1024;
const BLOCKS: usize = 16;

/// How a stream ended. Kept with its bytes: a replay ends the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The upstream said all that it had to.
    Complete,
    /// Something failed, or nobody read it for too long.
    Cut(Kind),
    /// Its owner stopped it.
    Stopped,
}

/// The bytes of one stream. Shared by all workers.
#[derive(Debug)]
pub struct Log {
    /// Its bytes are server-sent events, whose ends are looked for.
    has_events: bool,
    block: usize,
    meters: Arc<StreamMeters>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Closed blocks, oldest first.
    blocks: VecDeque<Block>,
    /// The block that is being written.
    open: Vec<u8>,
    open_scan: Scan,
    /// At `end`.
    scan: Scan,
    /// The offset of the first byte that is held, and the one behind the last.
    start: u64,
    end: u64,
    /// The last offset at which an event had ended.
    boundary: u64,
    /// When the last bytes came in.
    heard: Instant,
    /// Bytes that are held, at most.
    most: usize,
    /// What is counted of it in the meters.
    counted: usize,
    over: Option<End>,
    /// Readers that have read all there is, by their keys.
    waiting: HashMap<u64, Waker>,
    /// Whoever writes, to be told when it is over.
    writer: Option<Waker>,
    next_key: u64,
}

#[derive(Debug)]
struct Block {
    /// The offset of its first byte.
    at: u64,
    bytes: Bytes,
    /// At its first byte.
    scan: Scan,
}

/// What there is at an offset.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Some of the bytes from there on.
    Bytes(Bytes),
    /// The ring has dropped it; the smallest offset that is still held.
    Lost(u64),
    /// Nothing more will come.
    Over(End),
}

/// What a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The offset of the first byte held.
    pub start: u64,
    /// The offset behind the last one.
    pub end: u64,
    /// How it ended, once it has.
    pub over: Option<End>,
}

impl Log {
    /// An empty one that holds at most `most` bytes. `has_events`: it is of server-sent events.
    pub fn new(most: usize, has_events: bool, meters: Arc<StreamMeters>) -> Self {
        let state = State {
            blocks: VecDeque::new(),
            open: Vec::new(),
            open_scan: Scan::default(),
            scan: Scan::default(),
            start: 0,
            end: 0,
            boundary: 0,
            heard: Instant::now(),
            most,
            counted: 0,
            over: None,
            waiting: HashMap::new(),
            writer: None,
            next_key: 0,
        };
        let block = (most / BLOCKS).clamp(1, BLOCK);
        Self { has_events, block, meters, state: Mutex::new(state) }
    }

    /// Whether events are looked for in it.
    pub fn has_events(&self) -> bool {
        self.has_events
    }

    /// Begins at an offset: what was before is not held here. Nothing once something was written. Whether an event had ended
    /// there is not known, so that no reader of events begins there.
    pub fn begin_at(&self, offset: u64) {
        let mut state = self.lock();
        if state.end > 0 || state.over.is_some() {
            return;
        }
        (state.start, state.end, state.boundary) = (offset, offset, offset);
        (state.scan, state.open_scan) = (Scan::inside(), Scan::inside());
        wake(state);
    }

    /// Writes what came in at `heard`; wakes readers. False where it was over before: nothing was written.
    pub fn append(&self, bytes: &[u8], heard: Instant) -> bool {
        let mut state = self.lock();
        state.heard = heard;
        if state.over.is_some() {
            return false;
        }
        for piece in bytes.chunks(self.block) {
            state.push(piece, self.block, self.has_events);
        }
        state.drop_oldest();
        self.count(&mut state);
        wake(state);
        true
    }

    /// It is over; only the first call counts. Wakes everybody. True for the call that counts.
    pub fn finish(&self, end: End) -> bool {
        let mut state = self.lock();
        if state.over.is_some() {
            return false;
        }
        state.over = Some(end);
        state.open.shrink_to_fit();
        self.count(&mut state);
        let writer = state.writer.take();
        wake(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        true
    }

    /// Ready once it is over: for whoever writes, since others may end it. One waker is kept.
    pub fn poll_over(&self, cx: &mut Context<'_>) -> Poll<End> {
        let mut state = self.lock();
        if let Some(end) = state.over {
            return Poll::Ready(end);
        }
        if !state.writer.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            state.writer = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// What it holds now.
    pub fn extent(&self) -> Extent {
        let state = self.lock();
        Extent { start: state.start, end: state.end, over: state.over }
    }

    /// When the last bytes came in.
    pub fn heard(&self) -> Instant {
        self.lock().heard
    }

    /// Bytes of memory that it takes.
    pub fn held(&self) -> usize {
        self.lock().counted
    }

    /// Holds less from now on: half of what it may, and at least `least`.
    pub fn shrink(&self, least: usize) {
        let mut state = self.lock();
        state.most = (state.most / 2).max(least.min(state.most));
        state.drop_oldest();
        self.count(&mut state);
    }

    /// The last offset at which an event had ended.
    pub fn last_boundary(&self) -> u64 {
        self.lock().boundary
    }

    /// The first offset that is held at which an event had ended; `None` where none is.
    pub(super) fn first_boundary(&self) -> Option<u64> {
        let state = self.lock();
        let mut at = state.start;
        for (bytes, mut scan) in state.pieces() {
            if at == state.start && scan.is_between() {
                return Some(at);
            }
            if let Some(blank) = scan.next(bytes) {
                return Some(at + blank.end as u64);
            }
            at += bytes.len() as u64;
        }
        // Nothing is held: only of an empty stream is that a place between events.
        (state.start == state.end && state.scan.is_between()).then_some(state.end)
    }

    /// Whether an event had ended at an offset that is held.
    pub(super) fn is_boundary(&self, offset: u64) -> bool {
        let state = self.lock();
        let mut at = state.start;
        for (bytes, mut scan) in state.pieces() {
            let behind = at + bytes.len() as u64;
            if (at..behind).contains(&offset) {
                scan.through(&bytes[..(offset - at) as usize]);
                return scan.is_between();
            }
            at = behind;
        }
        offset == state.end && state.scan.is_between()
    }

    /// A key for [`Log::poll_find`].
    pub(super) fn key(&self) -> u64 {
        let mut state = self.lock();
        state.next_key += 1;
        state.next_key
    }

    /// What there is at an offset; pending where that is still to come.
    pub(super) fn poll_find(&self, cx: &mut Context<'_>, key: u64, offset: u64) -> Poll<Found> {
        let mut state = self.lock();
        if let Some(found) = state.find(offset) {
            return Poll::Ready(found);
        }
        state.waiting.insert(key, cx.waker().clone());
        Poll::Pending
    }

    /// Nobody waits by this key any more.
    pub(super) fn forget(&self, key: u64) {
        self.lock().waiting.remove(&key);
    }

    fn count(&self, state: &mut State) {
        let entries = state.blocks.capacity() * size_of::<Block>();
        let now = (state.end - state.start) as usize - state.open.len() + state.open.capacity();
        let before = mem::replace(&mut state.counted, now + entries);
        self.meters.held(before, state.counted);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; whoever did left whole blocks.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let counted = self.state.get_mut().unwrap_or_else(PoisonError::into_inner).counted;
        self.meters.held(counted, 0);
    }
}

impl State {
    /// At most one block's worth.
    fn push(&mut self, piece: &[u8], block: usize, has_events: bool) {
        if self.open.len() + piece.len() > block {
            let bytes = Bytes::from(mem::take(&mut self.open).into_boxed_slice());
            let at = self.end - bytes.len() as u64;
            self.blocks.push_back(Block { at, bytes, scan: self.open_scan });
            self.open_scan = self.scan;
        }
        self.open.extend_from_slice(piece);
        if has_events && let Some(boundary) = self.scan.through(piece) {
            self.boundary = self.end + boundary as u64;
        }
        self.end += piece.len() as u64;
    }

    fn drop_oldest(&mut self) {
        while self.end - self.start > self.most as u64
            && let Some(oldest) = self.blocks.pop_front()
        {
            self.start += oldest.bytes.len() as u64;
        }
    }

    /// What is held, oldest first, with what was read before each piece.
    fn pieces(&self) -> impl Iterator<Item = (&[u8], Scan)> {
        let closed = self.blocks.iter().map(|block| (&*block.bytes, block.scan));
        closed.chain([(&*self.open, self.open_scan)])
    }

    fn find(&self, offset: u64) -> Option<Found> {
        if offset < self.start {
            return Some(Found::Lost(self.start));
        }
        if offset >= self.end {
            return self.over.map(Found::Over);
        }
        let open_at = self.end - self.open.len() as u64;
        if offset >= open_at {
            let rest = &self.open[(offset - open_at) as usize..];
            return Some(Found::Bytes(Bytes::copy_from_slice(rest)));
        }
        let behind = self.blocks.partition_point(|block| block.at <= offset);
        let block = self.blocks.get(behind.checked_sub(1)?)?; // it is there: nothing before it was asked for
        Some(Found::Bytes(block.bytes.slice((offset - block.at) as usize..)))
    }
}

/// Lets go of the lock before anybody runs.
fn wake(mut state: MutexGuard<'_, State>) {
    if state.waiting.is_empty() {
        return;
    }
    let woken: Vec<Waker> = state.waiting.drain().map(|(_, waker)| waker).collect();
    drop(state);
    woken.into_iter().for_each(Waker::wake);
}
