//! Sockets that this process was given at its start.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use listenfd::ListenFd;

use super::channel::{Channel, Message, Predecessor};
use crate::config::ListenAddress;
use crate::transport::ListenSocket;

/// Says that standard input is the other end of a hand-over.
pub(super) const VARIABLE: &str = "FIRSTBYTE_HANDOVER";

/// What it says.
pub(super) const BY_STDIN: &str = "stdin";

/// Says that no upstream answers the predecessor either.
pub(super) const ANSWERS: &str = "FIRSTBYTE_HANDOVER_ANSWERS";

/// What it says.
pub(super) const NOTHING: &str = "nothing";

/// Says which folder the predecessor has a store in.
pub(super) const STORE: &str = "FIRSTBYTE_HANDOVER_STORE";

/// Between two listeners that a predecessor sends: it has them all in hand.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why what was given cannot be taken.
#[derive(Debug)]
pub enum HandoverError {
    /// Standard input, or what came over it, is not a predecessor's.
    Predecessor(io::Error),
    /// A descriptor of systemd's is not a TCP or Unix socket that listens.
    Socket(usize, io::Error),
}

impl std::fmt::Display for HandoverError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Predecessor(_) => {
                write!(f, "{VARIABLE} is set, but no process is handing its listeners over")
            }
            Self::Socket(nth, _) => {
                write!(
                    f,
                    "systemd passed descriptor {}, which is not a listening TCP or Unix socket",
                    nth + 3
                )
            }
        }
    }
}

impl std::error::Error for HandoverError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Predecessor(error) | Self::Socket(_, error) => Some(error),
        }
    }
}

/// When a process may accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// At once: nobody else does.
    AtOnce,
    /// When it is warm: another process accepts until then.
    WhenTold,
}

/// Listeners by the address that the configuration has for them.
#[derive(Debug, Default)]
pub struct Inherited {
    clients: Vec<(ListenAddress, ListenSocket)>,
    admin: Option<(ListenAddress, ListenSocket)>,
    /// They are all that there may be, and all of them are meant.
    is_complete: bool,
    from_predecessor: bool,
    /// The folder of a store that the predecessor has.
    store: Option<PathBuf>,
    predecessor: Option<Predecessor>,
}

impl Inherited {
    /// What this process was given; nothing, usually. To be called once, early: descriptors are taken by
    /// their numbers.
    ///
    /// # Errors
    /// See [`HandoverError`].
    pub fn take() -> Result<Self, HandoverError> {
        if std::env::var(VARIABLE).is_ok_and(|how| how == BY_STDIN) {
            return Self::from_predecessor().map_err(HandoverError::Predecessor);
        }
        let ours = std::process::id().to_string();
        if std::env::var("LISTEN_PID").is_ok_and(|pid| pid == ours) {
            return Self::from_systemd();
        }
        Ok(Self::default())
    }

    fn from_predecessor() -> io::Result<Self> {
        let channel = Channel::from_stdin()?;
        channel.wait_at_most(PATIENCE)?;
        let mut given = Self::default();
        loop {
            match channel.receive()? {
                Some(Message::Client(address, socket)) => given.clients.push((address, socket)),
                Some(Message::Admin(address, socket)) => given.admin = Some((address, socket)),
                Some(Message::All) => break,
                Some(Message::Store | Message::Released | Message::Ready) | None => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        let answers = std::env::var(ANSWERS).ok().is_none_or(|answers| answers != NOTHING);
        given.store = std::env::var_os(STORE).map(PathBuf::from);
        (given.from_predecessor, given.predecessor) =
            (true, Some(Predecessor { channel, answers }));
        Ok(given)
    }

    /// By their own addresses: `sd_listen_fds(3)`.
    fn from_systemd() -> Result<Self, HandoverError> {
        let mut descriptors = ListenFd::from_env();
        let mut given = Self { is_complete: true, ..Self::default() };
        for nth in 0..descriptors.len() {
            let failed = |error| HandoverError::Socket(nth, error);
            let tcp = descriptors.take_tcp_listener(nth).map(|tcp| tcp.map(ListenSocket::Tcp));
            // One that is not of the first family stays for the second.
            let socket = tcp.or_else(|_| {
                let unix = descriptors.take_unix_listener(nth);
                unix.map(|unix| unix.map(ListenSocket::Unix))
            });
            if let Some(socket) = socket.map_err(failed)? {
                given.clients.push((socket.address().map_err(failed)?, socket));
            }
        }
        Ok(given)
    }

    /// When the process may accept.
    pub fn opening(&self) -> Opening {
        if self.from_predecessor { Opening::WhenTold } else { Opening::AtOnce }
    }

    /// Who is to be told that this process is ready.
    pub fn predecessor(&mut self) -> Option<Predecessor> {
        self.predecessor.take()
    }

    /// The folder of the store that the predecessor has and will let go of.
    pub fn store(&self) -> Option<&Path> {
        self.store.as_deref()
    }

    /// Whether an address that was not given may not be bound, and one that is not wanted is a mistake:
    /// systemd's unit and the configuration have to say the same.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The sockets that were given for an address.
    pub fn clients(&mut self, address: &ListenAddress) -> Vec<ListenSocket> {
        let all = std::mem::take(&mut self.clients);
        let (these, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(of, _)| of == address);
        self.clients = others;
        these.into_iter().map(|(_, socket)| socket).collect()
    }

    /// The admin listener's, if it was given for this address.
    pub fn admin(&mut self, address: &ListenAddress) -> Option<ListenSocket> {
        if let Some((_, socket)) = self.admin.take_if(|(of, _)| of == address) {
            return Some(socket);
        }
        self.clients(address).pop()
    }

    /// Addresses that nobody asked for.
    pub fn left(&self) -> Vec<ListenAddress> {
        self.clients.iter().chain(&self.admin).map(|(address, _)| address.clone()).collect()
    }
}
