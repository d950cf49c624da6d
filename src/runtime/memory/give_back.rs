//! Memory that nobody uses any more goes back to the kernel.
//!
//! The allocator (mimalloc) does this by itself, but only while it is busy: a thread looks at the pages that
//! it keeps empty in every thousandth allocation that leaves the fast path, and what was freed is returned
//! once a page is freed a second or more later. A process that falls silent after a peak does neither, and
//! would keep the peak. Both are done here as any program may: by allocating. With another allocator this
//! costs as much and does nothing.

use std::hint::black_box;
use std::time::Duration;

/// Between two looks of a thread at its empty pages: those that a peak left are gone after eight seconds.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// mimalloc returns what has been free for a second (`purge_delay`).
const RETURN_EVERY: Duration = Duration::from_secs(1);

/// Allocations after which mimalloc looks at a thread's empty pages. It lets go of one that it found empty
/// sixteen times, four times if it is for large blocks.
const LOOK: usize = 1000;

/// The smallest power of two whose allocation leaves the fast path.
const BESIDE_THE_FAST_PATH: usize = 2048;

/// More than a block that shares its pages with others: freeing it returns what is due. Nothing is written
/// to it, so that it takes address space and no memory.
const A_BLOCK_OF_ITS_OWN: usize = 8 << 20;

/// Lets the thread that it is spawned on give its empty pages up, again and again: some 50 µs each time,
/// whatever the thread has been doing.
pub(crate) async fn empty_pages() {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        for _ in 0..LOOK {
            touch(BESIDE_THE_FAST_PATH);
        }
    }
}

/// Returns the whole process's freed pages to the kernel, again and again. That takes the kernel up to half
/// a millisecond for each megabyte, so that no worker is to do it.
pub(crate) async fn freed_pages() {
    loop {
        tokio::time::sleep(RETURN_EVERY).await;
        touch(A_BLOCK_OF_ITS_OWN);
    }
}

fn touch(bytes: usize) {
    drop(black_box(Vec::<u8>::with_capacity(black_box(bytes))));
}
