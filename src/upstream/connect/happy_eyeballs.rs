//! One connection out of several addresses (Happy Eyeballs, RFC 8305): each is tried when those before
//! it had their time, none waits for another to fail, and the first that is ready wins.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::error::{Cause, Error, Kind};

/// An address that took the TCP connection is given so many times the stagger for TLS and SETTINGS
/// before the next is tried beside it: two round trips and two certificates' work more. A second
/// handshake that is not needed costs both ends a millisecond of a core.
const HANDSHAKE_STAGGERS: u32 = 4;

/// How far an attempt is; shared with its future.
#[derive(Debug, Clone, Default)]
pub(in crate::upstream) struct Progress(Rc<Cell<bool>>);

impl Progress {
    /// TCP is there; the handshakes are still to come.
    pub(super) fn linked(&self) {
        self.0.set(true);
    }

    fn is_linked(&self) -> bool {
        self.0.get()
    }
}

/// What the attempts under way say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// All that were begun have failed.
    Empty,
    /// None of them has a TCP connection.
    Silent,
    /// One has a TCP connection.
    Linked,
}

/// How far an attempt came that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Nowhere: there is no route to it, as to every IPv6 address from a host that has none.
    Nowhere,
    /// Not off this machine, for want of a port or a descriptor: news that the others' lack is not.
    Here,
    /// To a peer that refused, or to none.
    There,
    /// Into the handshakes.
    Linked,
}

impl Reach {
    fn of(error: &Error, progress: &Progress) -> Self {
        match error.kind() {
            _ if progress.is_linked() => Self::Linked,
            Kind::LocalLimit => Self::Here,
            _ if error.cause() == Some(Cause::Unreachable) => Self::Nowhere,
            _ => Self::There,
        }
    }
}

/// When the next address is to be tried, the newest attempt having begun at `newest`.
fn due(newest: Instant, field: Field, stagger: Duration) -> Instant {
    match field {
        Field::Empty => newest,
        Field::Silent => newest + stagger,
        Field::Linked => newest + stagger * HANDSHAKE_STAGGERS,
    }
}

/// Runs `attempt` on the addresses in their order. Dropped, as the losers are when one has won, the
/// attempts under way close their sockets.
///
/// # Errors
/// All have failed: the error of the one that came furthest, of several the first one's.
pub(super) async fn race<T, F>(
    addresses: &[SocketAddr],
    stagger: Duration,
    attempt: impl Fn(SocketAddr, Progress) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut race = Race {
        waiting: addresses.iter(),
        attempt,
        stagger,
        running: Vec::new(),
        newest: Instant::now(),
        timer: Box::pin(tokio::time::sleep(stagger)),
        failed: None,
    };
    std::future::poll_fn(|cx| race.poll(cx)).await
}

struct Race<'a, A, F> {
    waiting: std::slice::Iter<'a, SocketAddr>,
    attempt: A,
    stagger: Duration,
    running: Vec<(Progress, Pin<Box<F>>)>,
    newest: Instant,
    timer: Pin<Box<Sleep>>,
    failed: Option<(Error, Reach)>,
}

impl<A, F, T> Race<'_, A, F>
where
    A: Fn(SocketAddr, Progress) -> F,
    F: Future<Output = Result<T, Error>>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        loop {
            if let Some(won) = self.poll_running(cx) {
                return Poll::Ready(Ok(won));
            }
            if self.waiting.len() == 0 {
                if self.running.is_empty() {
                    return Poll::Ready(Err(self.failure()));
                }
                return Poll::Pending;
            }
            let due = due(self.newest, self.field(), self.stagger);
            let now = Instant::now();
            if now < due {
                self.timer.as_mut().reset(due);
                if self.timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            if let Some(address) = self.waiting.next() {
                let progress = Progress::default();
                let attempt = Box::pin((self.attempt)(*address, progress.clone()));
                self.running.push((progress, attempt));
                self.newest = now;
            }
        }
    }

    fn poll_running(&mut self, cx: &mut Context<'_>) -> Option<T> {
        let mut nth = 0;
        while let Some((progress, attempt)) = self.running.get_mut(nth) {
            match attempt.as_mut().poll(cx) {
                Poll::Pending => nth += 1,
                Poll::Ready(Ok(won)) => return Some(won),
                Poll::Ready(Err(error)) => {
                    let reach = Reach::of(&error, progress);
                    if self.failed.as_ref().is_none_or(|(_, furthest)| reach > *furthest) {
                        self.failed = Some((error, reach));
                    }
                    self.running.remove(nth);
                }
            }
        }
        None
    }

    fn field(&self) -> Field {
        if self.running.is_empty() {
            return Field::Empty;
        }
        let linked = self.running.iter().any(|(progress, _)| progress.is_linked());
        if linked { Field::Linked } else { Field::Silent }
    }

    fn failure(&mut self) -> Error {
        let none = || Error::of_connect(io::Error::from(io::ErrorKind::AddrNotAvailable));
        self.failed.take().map_or_else(none, |(error, _)| error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGGER: Duration = Duration::from_millis(250);

    /// What an address does: after how long it has TCP, and after how long it is ready or has failed.
    type Timing = (Option<u64>, Option<(u64, bool)>);

    /// Which address wins, and after how many milliseconds; or with which error all fail.
    fn run(courses: &[Timing]) -> (Result<u16, Kind>, u64) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let addresses: Vec<_> =
                (0..courses.len()).map(|n| SocketAddr::from(([192, 0, 2, 1], n as u16))).collect();
            let begun = tokio::time::Instant::now();
            let won = race(&addresses, STAGGER, |address, progress| async move {
                let (tcp, end) = courses[address.port() as usize];
                let begun = tokio::time::Instant::now();
                let at = |ms: u64| tokio::time::sleep_until(begun + Duration::from_millis(ms));
                if let Some(tcp) = tcp {
                    at(tcp).await;
                    progress.linked();
                }
                match end {
                    None => std::future::pending().await,
                    Some((end, well)) => {
                        at(end).await;
                        let kind = if tcp.is_some() { Kind::Tls } else { Kind::ConnectRefused };
                        if well { Ok(address.port()) } else { Err(kind.into()) }
                    }
                }
            });
            let within = tokio::time::timeout(Duration::from_secs(5), won).await;
            let won = within.unwrap_or_else(|_| Err(Kind::ConnectTimeout.into()));
            (won.map_err(|error| error.kind()), begun.elapsed().as_millis() as u64)
        })
    }

    const DEAD: Timing = (None, None);
    const REFUSES: Timing = (None, Some((1, false)));
    const STALLS: Timing = (Some(10), None);
    const BAD_TLS: Timing = (Some(10), Some((20, false)));
    const WELL: Timing = (Some(10), Some((30, true)));
    const SLOW: Timing = (Some(300), Some((700, true)));

    #[test]
    fn the_next_address_is_tried_after_the_stagger_and_at_once_after_a_failure() {
        let now = Instant::now();
        assert_eq!(due(now, Field::Empty, STAGGER), now);
        assert_eq!(due(now, Field::Silent, STAGGER), now + STAGGER);
        assert_eq!(due(now, Field::Linked, STAGGER), now + 4 * STAGGER);
    }

    fn assert_wins(courses: &[Timing], winner: u16, at: u64) {
        let (won, after) = run(courses);
        assert_eq!(won, Ok(winner), "{courses:?}");
        assert!((at..at + 25).contains(&after), "{courses:?}: after {after} ms");
    }

    #[test]
    fn one_that_is_silent_costs_a_stagger_one_that_fails_nothing() {
        assert_wins(&[WELL, WELL], 0, 30);
        assert_wins(&[DEAD, WELL], 1, 280);
        assert_wins(&[DEAD, DEAD, DEAD, WELL], 3, 780);
        assert_wins(&[REFUSES, WELL], 1, 31);
        assert_wins(&[BAD_TLS, REFUSES, WELL], 2, 51);
    }

    #[test]
    fn one_that_stalls_in_the_handshake_does_not_use_up_the_deadline() {
        assert_wins(&[STALLS, WELL], 1, 1030);
        assert_wins(&[STALLS, STALLS, WELL], 2, 2030);
    }

    #[test]
    fn one_that_is_slow_still_wins_if_it_is_ready_first() {
        assert_wins(&[SLOW, SLOW], 0, 700);
        assert_wins(&[SLOW, DEAD, DEAD], 0, 700);
    }

    #[test]
    fn a_lack_of_ours_says_more_than_a_family_without_a_route_and_less_than_a_refusal() {
        let reach = |kind: io::ErrorKind| {
            Reach::of(&Error::of_connect(io::Error::from(kind)), &Progress::default())
        };
        let no_port = reach(io::ErrorKind::AddrNotAvailable);
        assert!(no_port > reach(io::ErrorKind::NetworkUnreachable));
        assert!(no_port > reach(io::ErrorKind::HostUnreachable));
        assert!(no_port < reach(io::ErrorKind::ConnectionRefused));
    }

    #[test]
    fn where_all_fail_the_error_is_that_of_the_one_that_came_furthest() {
        assert_eq!(run(&[REFUSES, BAD_TLS, REFUSES]).0, Err(Kind::Tls));
        assert_eq!(run(&[REFUSES, REFUSES]).0, Err(Kind::ConnectRefused));
        assert_eq!(run(&[DEAD, REFUSES]), (Err(Kind::ConnectTimeout), 5000));
        assert!(run(&[]).0.is_err());
    }
}
