//! One clock for stamps and for deadlines: CLOCK_MONOTONIC in nanoseconds.
//!
//! tokio's own timer counts in milliseconds; a script that sends a token every 200 µs needs better. One
//! timerfd per runtime serves every sleeper of that runtime, so that a deadline is met to some microseconds
//! without a spinning core.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// Nanoseconds of CLOCK_MONOTONIC: comparable between all processes of one machine since its start.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// A duration as nanoseconds, at most 584 years.
pub(super) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The timer of one runtime. Cloning gives the same timer.
#[derive(Clone)]
pub(super) struct Clock {
    shared: Rc<Shared>,
}

struct Shared {
    timer: AsyncFd<OwnedFd>,
    /// By deadline, then by order of registration; an entry leaves when it fires or its sleeper is dropped.
    sleepers: RefCell<BTreeMap<(u64, u64), Waker>>,
    registered: Cell<u64>,
    /// The deadline the kernel holds; `u64::MAX` when none.
    armed: Cell<u64>,
}

impl Clock {
    /// Must be called within a tokio runtime whose I/O driver is enabled.
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "its replacement is unsafe; an OwnedFd keeps what that asks for"
        )]
        let timer = AsyncFd::new(fd)?;
        let shared = Shared {
            timer,
            sleepers: RefCell::new(BTreeMap::new()),
            registered: Cell::new(0),
            armed: Cell::new(u64::MAX),
        };
        Ok(Self { shared: Rc::new(shared) })
    }

    /// Wakes sleepers as they fall due; runs as long as the runtime. Without it no sleeper ever wakes.
    pub(super) async fn run(self) -> io::Result<()> {
        loop {
            let mut ready = self.shared.timer.readable().await?;
            let mut expirations = [0; 8];
            // Nothing to learn from the count: what is due is decided by the clock below.
            let _ = rustix::io::read(self.shared.timer.get_ref(), &mut expirations);
            ready.clear_ready();
            drop(ready);
            self.shared.armed.set(u64::MAX);
            self.wake_due(now_ns());
            self.shared.arm()?;
        }
    }

    /// Completes at `due_ns`, at once if that is past. Dropping it forgets the deadline.
    pub(super) fn sleep_until(&self, due_ns: u64) -> Sleep {
        Sleep { shared: self.shared.clone(), due_ns, key: None }
    }

    fn wake_due(&self, now: u64) {
        let mut sleepers = self.shared.sleepers.borrow_mut();
        while let Some(first) = sleepers.first_entry() {
            if first.key().0 > now {
                break;
            }
            first.remove().wake();
        }
    }
}

impl Shared {
    /// Tells the kernel the earliest deadline, if it holds a later one.
    fn arm(&self) -> io::Result<()> {
        let Some(earliest) = self.sleepers.borrow().first_key_value().map(|(key, _)| key.0) else {
            return Ok(());
        };
        if earliest >= self.armed.get() {
            return Ok(());
        }
        self.armed.set(earliest);
        let at = Timespec {
            tv_sec: (earliest / 1_000_000_000).cast_signed(),
            tv_nsec: (earliest % 1_000_000_000).cast_signed(),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &once)?;
        Ok(())
    }
}

/// A sleeper of a [`Clock`].
pub(super) struct Sleep {
    shared: Rc<Shared>,
    due_ns: u64,
    key: Option<(u64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if now_ns() >= self.due_ns {
            return Poll::Ready(());
        }
        let key = self.key.unwrap_or_else(|| {
            let order = self.shared.registered.get();
            self.shared.registered.set(order + 1);
            (self.due_ns, order)
        });
        self.key = Some(key);
        self.shared.sleepers.borrow_mut().insert(key, cx.waker().clone());
        // A timer that cannot be set would sleep for ever; waking at once is wrong by less.
        if self.shared.arm().is_err() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.shared.sleepers.borrow_mut().remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_in_the_order_of_their_deadlines() {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let clock = Clock::new().unwrap();
                tokio::task::spawn_local(clock.clone().run());
                let start = now_ns();
                let order = Rc::new(RefCell::new(Vec::new()));
                let sleeper = |name: &'static str, after_us: u64| {
                    let (clock, order) = (clock.clone(), order.clone());
                    async move {
                        clock.sleep_until(start + after_us * 1_000).await;
                        order.borrow_mut().push(name);
                    }
                };
                tokio::join!(sleeper("late", 3_000), sleeper("early", 500), sleeper("past", 0));
                assert_eq!(*order.borrow(), ["past", "early", "late"]);
                assert!(now_ns() >= start + 3_000_000);
            })
            .await;
    }

    #[tokio::test]
    async fn a_dropped_sleeper_leaves_nothing_behind() {
        let clock = Clock::new().unwrap();
        let mut sleep = Box::pin(clock.sleep_until(now_ns() + 3_600_000_000_000));
        assert!(std::future::poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx))).await.is_pending());
        drop(sleep);
        assert!(clock.shared.sleepers.borrow().is_empty());
    }
}
