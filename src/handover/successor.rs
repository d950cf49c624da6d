//! The process that takes over: started, given the listeners, waited for.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::channel::{Channel, Message};
use super::inherited::{ANSWERS, BY_STDIN, NOTHING, STORE, VARIABLE};
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

/// What a successor is given.
pub struct Handed<'a> {
    /// Sockets.
    pub listening: &'a Listening,
    /// Whether an upstream answers this process.
    pub answers: bool,
    /// The store of this process, where it has one.
    pub store: Option<&'a dyn HandedStore>,
}

/// A store that one process at a time can have.
pub trait HandedStore {
    /// Its folder.
    fn folder(&self) -> &Path;

    /// Lets go of it. Blocks.
    ///
    /// # Errors
    /// Why this process still has it.
    fn release(&self) -> Result<(), String>;

    /// The successor has ended: has it again. Blocks.
    fn take_back(&self);
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
    /// It was to have the store, which could not be let go.
    Store(String),
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
            Self::Store(why) => write!(f, "the store cannot be handed over: {why}"),
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
    /// Starts it and waits until it accepts, `within` a time and until `called_off`. Blocks.
    ///
    /// # Errors
    /// Why it did not take over: then it is gone, and this process still has every listener, and its store.
    pub fn start(
        called: &Invocation,
        handed: &Handed<'_>,
        within: Duration,
        called_off: &AtomicBool,
    ) -> Result<Self, GaveUp> {
        let failed = |error| GaveUp::Start(called.program.clone(), error);
        let (channel, theirs) = Channel::pair().map_err(failed)?;
        let mut child = spawn(called, theirs, handed).map_err(failed)?;
        let sent = channel.wait_at_most(TAKE).and_then(|()| handed.listening.send(&channel));
        let mut released = false;
        let took_over = match sent {
            Ok(()) => {
                let mut give = || {
                    let store = handed.store.ok_or_else(|| "there is none".to_owned())?;
                    store.release()?;
                    released = true;
                    channel.send(&Message::Released).map_err(|error| error.to_string())
                };
                wait(&channel, &mut child, (within, called_off), &mut give)
            }
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
                if let Some(store) = handed.store.filter(|_| released) {
                    store.take_back();
                }
                Err(why)
            }
        }
    }
}

/// Both ends of what is passed on are closed here when it returns: that it ends is seen.
fn spawn(
    called: &Invocation,
    theirs: std::os::fd::OwnedFd,
    handed: &Handed<'_>,
) -> io::Result<Child> {
    let mut command = Command::new(&called.program);
    if handed.answers {
        command.env_remove(ANSWERS);
    } else {
        command.env(ANSWERS, NOTHING);
    }
    match handed.store {
        Some(store) => command.env(STORE, store.folder()),
        None => command.env_remove(STORE),
    };
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
    (within, called_off): (Duration, &AtomicBool),
    give_store: &mut dyn FnMut() -> Result<(), String>,
) -> Result<(), GaveUp> {
    let begun = Instant::now();
    let failed = |_| GaveUp::Late(within);
    channel.wait_at_most(LOOK).map_err(failed)?;
    loop {
        match channel.receive() {
            Ok(Some(Message::Ready)) => return Ok(()),
            Ok(Some(Message::Store)) => give_store().map_err(GaveUp::Store)?,
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
