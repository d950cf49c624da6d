//! A panic fails the request that it is in, and no other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// The work panicked. What it said went to stderr by the process's own hook.
#[derive(Debug)]
pub(super) struct Panicked;

/// Polls `work` to its end or to a panic; it must then be dropped. Without this the panic would end the
/// task, which over HTTP/1.1 is the connection: a cut without a word, and nothing to find in the log.
///
/// Unwind-safe in that nothing is kept half-changed that others see: what workers share are counters, and
/// each count is given back by a guard; a `RefCell` is given back by its borrow.
pub(super) async fn catch_panic<T>(
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Panicked> {
    std::future::poll_fn(move |cx| {
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Ok),
            Err(_said_already) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}
