//! Waking at a moment, closer than the runtime's timer wheel, whose step is a millisecond.

use std::io;

use crate::client::Mono;

/// Wakes one task at given moments.
#[derive(Debug)]
pub(super) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: tokio::io::unix::AsyncFd<rustix::fd::OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(deprecated, reason = "sound for an `OwnedFd`; its successor is an unsafe fn")]
        let timer = tokio::io::unix::AsyncFd::new(timer)?;
        Ok(Self { timer })
    }

    /// Returns once `moment` has come; at once if it has passed. May be dropped midway.
    pub(super) async fn at(&self, moment: Mono) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        if Mono::now() >= moment {
            return Ok(());
        }
        let nanos = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let it_value = Timespec {
            tv_sec: nanos(moment.0 / 1_000_000_000),
            tv_nsec: nanos(moment.0 % 1_000_000_000),
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let times = Itimerspec { it_interval, it_value };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &times)?;
        // A moment set by a call that was dropped may have left the timer readable.
        while Mono::now() < moment {
            let mut guard = self.timer.readable().await?;
            let mut expirations = [0; 8];
            let _ = guard.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut expirations)?));
        }
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Returns once `moment` has come, to the millisecond; at once if it has passed.
    pub(super) async fn at(&self, moment: Mono) -> io::Result<()> {
        let left = moment.since(Mono::now());
        tokio::time::sleep(std::time::Duration::from_nanos(left)).await;
        Ok(())
    }
}
