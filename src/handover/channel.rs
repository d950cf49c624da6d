//! What two processes say to each other at a hand-over: a socket pair of whole messages, with a descriptor
//! on each that brings a listener. No number of a descriptor is agreed on, nothing is left to inherit.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use crate::config::ListenAddress;
use crate::transport::ListenSocket;

/// Longer than any message: a word and an address.
const LONGEST: usize = 256;

/// What is said.
#[derive(Debug)]
pub(super) enum Message {
    /// One of the sockets of this address, as the configuration has it.
    Client(ListenAddress, ListenSocket),
    /// The admin listener's.
    Admin(ListenAddress, ListenSocket),
    /// There are no more.
    All,
    /// The new process wants the store, which the old one has.
    Store,
    /// The old process has let go of it.
    Released,
    /// The new process is ready and accepts.
    Ready,
}

/// One end.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

impl Channel {
    /// Both ends; neither is inherited unless it is passed on.
    pub(super) fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Channel(ours), theirs))
    }

    /// The end that came as standard input, which is nothing from then on.
    pub(super) fn from_stdin() -> io::Result<Channel> {
        let channel = Channel(io::stdin().as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        Ok(channel)
    }

    /// Waits for at most so long for each message, and for each to be taken; from a signal on, anew.
    pub(super) fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        set_socket_timeout(&self.0, Timeout::Recv, Some(time))?;
        Ok(set_socket_timeout(&self.0, Timeout::Send, Some(time))?)
    }

    pub(super) fn send(&self, message: &Message) -> io::Result<()> {
        let (text, socket) = match message {
            Message::Client(address, socket) => (format!("client {address}"), Some(socket)),
            Message::Admin(address, socket) => (format!("admin {address}"), Some(socket)),
            Message::All => ("all".to_owned(), None),
            Message::Store => ("store".to_owned(), None),
            Message::Released => ("released".to_owned(), None),
            Message::Ready => ("ready".to_owned(), None),
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = socket.map(|socket| [socket.as_fd()]);
        if let Some(descriptors) = &descriptors {
            control.push(SendAncillaryMessage::ScmRights(descriptors)); // there is space for one
        }
        let text = [IoSlice::new(text.as_bytes())];
        // A peer that is gone is an error here and no signal.
        retry_on_intr(|| sendmsg(&self.0, &text, &mut control, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// The next message; `None` if the other end is closed.
    pub(super) fn receive(&self) -> io::Result<Option<Message>> {
        let mut text = [0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut text)];
        let receive = || recvmsg(&self.0, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC);
        // With a timeout, a signal interrupts it even where its handler asks for a restart, and so does
        // being stopped and continued (signal(7)).
        let read = retry_on_intr(receive)?.bytes;
        if read == 0 {
            return Ok(None);
        }
        let mut sockets = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
            _ => None,
        });
        let socket = sockets.next();
        let text = text.get(..read).and_then(|text| std::str::from_utf8(text).ok());
        text.and_then(|text| understood(text, socket)).map(Some).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the other process uses another handover protocol",
            )
        })
    }
}

fn understood(text: &str, socket: Option<OwnedFd>) -> Option<Message> {
    let (word, address) = text.split_once(' ').unwrap_or((text, ""));
    match (word, address, socket) {
        ("client" | "admin", address, Some(socket)) => {
            let address = ListenAddress::parse(address)?;
            let socket = ListenSocket::from_fd(&address, socket);
            let is_admin = word == "admin";
            Some(if is_admin {
                Message::Admin(address, socket)
            } else {
                Message::Client(address, socket)
            })
        }
        ("all", "", None) => Some(Message::All),
        ("store", "", None) => Some(Message::Store),
        ("released", "", None) => Some(Message::Released),
        ("ready", "", None) => Some(Message::Ready),
        _ => None,
    }
}

/// The process that ran before and goes on until it is told.
#[derive(Debug)]
pub struct Predecessor {
    pub(super) channel: Channel,
    /// An upstream answers it.
    pub(super) answers: bool,
}

impl Predecessor {
    /// Says that this process is ready; the other one drains from then on.
    ///
    /// # Errors
    /// It is gone.
    pub fn ready(self) -> io::Result<()> {
        self.channel.send(&Message::Ready)
    }

    /// Has it let go of its store, and waits until it has. One that has ended meanwhile has none.
    ///
    /// # Errors
    /// It does not answer in time, or not to the question.
    pub fn release_store(&self) -> io::Result<()> {
        if self.channel.send(&Message::Store).is_err() {
            return Ok(());
        }
        match self.channel.receive()? {
            Some(Message::Released) | None => Ok(()),
            Some(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Whether an upstream answered it when it started this process: where none does, nothing is lost by
    /// taking over without one.
    pub fn answers(&self) -> bool {
        self.answers
    }

    /// Whether it has ended, or given this process up.
    pub fn is_gone(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, poll};
        let mut ends = [PollFd::new(&self.channel.0, PollFlags::empty())];
        let polled = poll(&mut ends, Some(&rustix::time::Timespec::default()));
        polled.is_ok() && ends[0].revents().contains(PollFlags::HUP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixListener, UnixStream};

    fn predecessor(channel: Channel) -> Predecessor {
        Predecessor { channel, answers: true }
    }

    #[test]
    fn a_listener_s_queue_goes_over_with_it() {
        let (ours, theirs) = Channel::pair().unwrap();
        let theirs = Channel(theirs);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let address = ListenAddress::Ip(at);
        let _queued = TcpStream::connect(at).unwrap();
        ours.send(&Message::Client(address.clone(), listener.into())).unwrap();
        ours.send(&Message::All).unwrap();
        let Some(Message::Client(said, came)) = theirs.receive().unwrap() else { panic!() };
        assert_eq!((&said, came.address().unwrap()), (&address, said.clone()));
        let ListenSocket::Tcp(came) = came else { panic!() };
        came.accept().unwrap();
        assert!(matches!(theirs.receive(), Ok(Some(Message::All))));
        drop(ours);
        assert!(matches!(theirs.receive(), Ok(None)));
        assert!(predecessor(theirs).is_gone());
    }

    #[test]
    fn a_unix_socket_goes_over_by_its_path() {
        let (ours, theirs) = Channel::pair().unwrap();
        let path = std::env::temp_dir().join(format!("firstbyte channel {}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let _queued = UnixStream::connect(&path).unwrap();
        let address = ListenAddress::Unix(path.clone());
        ours.send(&Message::Client(address.clone(), ListenSocket::Unix(listener))).unwrap();
        let came = Channel(theirs).receive().unwrap();
        let Some(Message::Client(said, ListenSocket::Unix(came))) = came else { panic!() };
        assert_eq!(said, address);
        came.accept().unwrap();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_silence_ends() {
        let (ours, theirs) = Channel::pair().unwrap();
        let theirs = Channel(theirs);
        for odd in ["", "nonsense", "client", "client 127.0.0.1:1", "admin x", "ready now"] {
            assert!(understood(odd, None).is_none(), "{odd:?}");
        }
        theirs.wait_at_most(Duration::from_millis(10)).unwrap();
        let silent = theirs.receive().unwrap_err().kind();
        assert_eq!(silent, io::ErrorKind::WouldBlock);
        assert!(!predecessor(theirs).is_gone());
        drop(ours);
    }
}
