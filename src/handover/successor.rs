//! The process that takes over: started, given the listeners, waited for.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::channel::{Channel, Message};
use super::inherited::{ANSWERS, BY_STDIN, NOTHING, VARIABLE};
use super::listening::Listening;

/// Between two looks whether the wait was called off.
const LOOK: Duration = Duration::from_millis(100);

/// For one listener to be taken: the other process has to be loaded first.
const TAKE: Duration = Duration::from_secs(10);

/// From the end of what it says to its own end.
const END: Duration = Duration::from_secs(1);

/// How this process was called: how its successor will be.
#[derive(Debug, Clone)]
pub struct Invocation {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Invocation {
    /// This process's own. To be taken at the start: `argv[0]` is taken from the folder that was the
    /// working directory then, and what lies there later is what is started.
    ///
    /// # Errors
    /// The program cannot be found.
    pub fn ours() -> io::Result<Self> {
        let mut words = env::args_os();
        let name = PathBuf::from(words.next().unwrap_or_default());
        // As it was called, not what a link led to: the link is what an upgrade moves.
        let by_path = name.parent().is_some_and(|folder| folder != Path::new(""));
        let program = if by_path { std::path::absolute(name)? } else { env::current_exe()? };
        Ok(Self { program, arguments: words.collect() })
    }
}

/// Why this process goes on alone.
#[derive(Debug)]
pub enum GaveUp {
    /// It could not be started, or not be given the listeners.
    Start(PathBuf, io::Error),
    /// It ended before it was ready; it said why itself.
    Ended(ExitStatus),
    /// It went on, and did not say that it was ready.
    Silent,
    /// It was not ready in time, and was killed.
    Late(Duration),
    /// This process is to end; the other was killed.
    CalledOff,
}

impl std::fmt::Display for GaveUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start(program, error) => {
                write!(f, "cannot start {} or pass the listeners to it: {error}", program.display())
            }
            Self::Ended(status) => {
                write!(f, "the new process exited before it was ready: {status}")
            }
            Self::Silent => {
                write!(f, "the new process closed the handover channel before it was ready")
            }
            Self::Late(time) => {
                write!(
                    f,
                    "the new process was not ready within upgrade_timeout, {} s",
                    time.as_secs_f64()
                )
            }
            Self::CalledOff => write!(f, "this process is shutting down"),
        }
    }
}

impl std::error::Error for GaveUp {}

/// A process that has taken over.
#[derive(Debug)]
pub struct Successor {
    /// Its process id.
    pub id: u32,
}

impl Successor {
    /// Starts it and waits until it accepts, `within` a time and until `called_off`. Blocks. `answers`:
    /// whether an upstream answers this process.
    ///
    /// # Errors
    /// Why it did not take over: then it is gone, and this process still has every listener.
    pub fn start(
        called: &Invocation,
        listening: &Listening,
        answers: bool,
        within: Duration,
        called_off: &AtomicBool,
    ) -> Result<Self, GaveUp> {
        let failed = |error| GaveUp::Start(called.program.clone(), error);
        let (channel, theirs) = Channel::pair().map_err(failed)?;
        let mut child = spawn(called, theirs, answers).map_err(failed)?;
        let sent = channel.wait_at_most(TAKE).and_then(|()| listening.send(&channel));
        let took_over = match sent {
            Ok(()) => wait(&channel, &mut child, within, called_off),
            Err(error) => Err(match child.try_wait() {
                Ok(Some(status)) => GaveUp::Ended(status),
                _ => failed(error),
            }),
        };
        match took_over {
            Ok(()) => Ok(Self { id: child.id() }),
            Err(why) => {
                // Fails where it has ended already.
                let _killed = child.kill();
                let _reaped = child.wait();
                Err(why)
            }
        }
    }
}

/// Both ends of what is passed on are closed here when it returns: that it ends is seen.
fn spawn(called: &Invocation, theirs: std::os::fd::OwnedFd, answers: bool) -> io::Result<Child> {
    let mut command = Command::new(&called.program);
    if answers {
        command.env_remove(ANSWERS);
    } else {
        command.env(ANSWERS, NOTHING);
    }
    command
        .args(&called.arguments)
        .env(VARIABLE, BY_STDIN)
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDS")
        .env_remove("LISTEN_FDNAMES")
        .stdin(Stdio::from(theirs))
        .spawn()
}

fn wait(
    channel: &Channel,
    child: &mut Child,
    within: Duration,
    called_off: &AtomicBool,
) -> Result<(), GaveUp> {
    let begun = Instant::now();
    let failed = |_| GaveUp::Late(within);
    channel.wait_at_most(LOOK).map_err(failed)?;
    loop {
        match channel.receive() {
            Ok(Some(Message::Ready)) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => return Err(ended(child)),
        }
        if called_off.load(Ordering::Relaxed) {
            return Err(GaveUp::CalledOff);
        }
        if begun.elapsed() >= within {
            return Err(GaveUp::Late(within));
        }
    }
}

/// It says no more: with its end, usually, which is a moment away.
fn ended(child: &mut Child) -> GaveUp {
    let begun = Instant::now();
    while begun.elapsed() < END {
        if let Ok(Some(status)) = child.try_wait() {
            return GaveUp::Ended(status);
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    GaveUp::Silent
}
