//! A page that takes work, made once for all who ask while it is awaited.
//!
//! Nobody gets a page that was begun before the question: what a scraper is told is what was true when it
//! asked, or later. So who asks while a page is being made waits for the next one, with all others who do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::connections::Connections;

/// From the beginning of one page to that of the next. Workers take a turn for each.
const PAUSE: Duration = Duration::from_millis(20);
/// And so many times what the last one took: the listener's thread has other things to do.
const SHARE: u32 = 4;
/// Pages in memory that clients have not taken yet. Who stalls one leaves when another is to be made.
const PAGES: usize = 8;

/// The page, as it was made last.
pub(super) struct Shared {
    last: Mutex<Option<Made>>,
    room: Arc<Semaphore>,
    connections: Connections,
}

struct Made {
    page: Bytes,
    began: Instant,
    took: Duration,
}

/// A page's bytes, and their place among those that are in memory.
struct PageBytes(
    String,
    #[expect(dead_code, reason = "given back with the bytes")] OwnedSemaphorePermit,
);

impl AsRef<[u8]> for PageBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Shared {
    /// For clients of this crowd.
    pub(super) fn new(connections: Connections) -> Self {
        Self { last: Mutex::default(), room: Arc::new(Semaphore::new(PAGES)), connections }
    }

    /// The page as of now. Dropped, it leaves the making to the next who waits.
    pub(super) async fn get(&self, make: impl Future<Output = String>) -> Bytes {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some(made) = last.as_ref() {
            if made.began >= asked {
                return made.page.clone();
            }
            let next = made.began + PAUSE.max(made.took * SHARE);
            tokio::time::sleep_until(next.into()).await;
        }
        *last = None; // its place is needed
        let Some(place) = self.place().await else { return Bytes::new() };
        let began = Instant::now();
        let text = make.await;
        let page = Bytes::from_owner(PageBytes(text, place));
        *last = Some(Made { page: page.clone(), began, took: began.elapsed() });
        page
    }

    /// A place for one more page. `None` never: nobody closes the semaphore.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(place) = Arc::clone(&self.room).try_acquire_owned() {
                return Some(place);
            }
            if !self.connections.make_a_blocked_one_leave() {
                return Arc::clone(&self.room).acquire_owned().await.ok();
            }
            tokio::task::yield_now().await; // it leaves in its own turn
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test(start_paused = true)]
    async fn who_asks_while_a_page_is_made_shares_the_next_one() {
        let shared = Shared::new(Connections::new(1));
        let count = Cell::new(0);
        let make = || async {
            count.set(count.get() + 1);
            let nth = count.get();
            tokio::time::sleep(Duration::from_secs(1)).await;
            nth.to_string()
        };
        let many = async {
            tokio::task::yield_now().await; // the first is being made by now
            tokio::join!(shared.get(make()), shared.get(make()), shared.get(make()))
        };
        let (first, (a, b, c)) = tokio::join!(shared.get(make()), many);
        assert_eq!([&first, &a, &b, &c].map(|page| &page[..]), [&b"1"[..], b"2", b"2", b"2"]);
        assert_eq!(shared.get(make()).await, "3", "nobody is told what was true before it asked");
        assert_eq!(count.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_given_up_is_made_by_the_next() {
        let shared = Shared::new(Connections::new(1));
        let endless = shared.get(std::future::pending());
        assert!(tokio::time::timeout(Duration::from_secs(1), endless).await.is_err());
        assert_eq!(shared.get(std::future::ready("made".to_owned())).await, "made");
    }

    #[tokio::test]
    async fn pages_that_nobody_takes_are_bounded() {
        let shared = Shared::new(Connections::new(1));
        let mut held = Vec::new();
        while held.len() < PAGES {
            held.push(shared.get(std::future::ready("page".to_owned())).await);
        }
        let more = shared.get(std::future::ready("one more".to_owned()));
        let mut more = std::pin::pin!(more);
        let early = tokio::time::timeout(PAUSE * 4, more.as_mut()).await;
        assert!(early.is_err(), "there is no place");
        held.pop();
        assert_eq!(more.await, "one more");
    }
}
