//! Opening the sockets to listen on.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::config::{ListenAddress, Listener, takes_only_ipv6};
use crate::transport::ListenSocket;

/// Connections that the kernel may hold for us while a worker is busy; the kernel caps it at
/// `net.core.somaxconn`.
pub(super) const BACKLOG: i32 = 4096;

/// Opens the sockets of one of `listen`: one for each worker, or for all of them one Unix socket, since a path leads to
/// one queue.
///
/// # Errors
/// The address cannot be bound.
pub fn bind(
    listener: &Listener,
    listen: &[Listener],
    workers: usize,
) -> io::Result<Vec<ListenSocket>> {
    match &listener.address {
        ListenAddress::Ip(address) => {
            let all: Vec<_> = listen.iter().filter_map(|one| one.address.ip()).collect();
            bind_tcp(*address, takes_only_ipv6(*address, &all), workers)
        }
        ListenAddress::Unix(path) => Ok(vec![bind_unix(path, listener.mode)?]),
    }
}

/// With port 0 the workers share the port that the first is given. A port on which another process listens already
/// is refused, although the kernel would let two processes of one user share it: half the connections would go
/// astray. `only_ipv6`: IPv4 is another listener's; without it `[::]` takes both, whatever the machine's default is.
pub(super) fn bind_tcp(
    address: SocketAddr,
    only_ipv6: bool,
    workers: usize,
) -> io::Result<Vec<ListenSocket>> {
    let mut address = address;
    if address.port() != 0 {
        // Not listened on: whoever connects meanwhile would be reset.
        socket_for(address, only_ipv6)?.bind(&address.into())?;
    }
    let mut listeners = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = socket_for(address, only_ipv6)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        address = listener.local_addr()?;
        listeners.push(ListenSocket::Tcp(listener));
    }
    Ok(listeners)
}

fn socket_for(address: SocketAddr, only_ipv6: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(only_ipv6)?;
    }
    Ok(socket)
}

/// Made under a name beside and moved into its place: nobody can connect before its mode is set, and what a
/// process left there that was killed is replaced. It is left there at the end, for whoever it was handed to.
fn bind_unix(path: &Path, mode: u32) -> io::Result<ListenSocket> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
    }
    if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        let what = "there is a file that is no socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    let beside = beside(path);
    // Of a process of this number that was killed in between.
    let _left = fs::remove_file(&beside);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(&beside)?)?;
    let put = fs::set_permissions(&beside, fs::Permissions::from_mode(mode))
        .and_then(|()| socket.listen(BACKLOG))
        .and_then(|()| fs::rename(&beside, path));
    if let Err(error) = put {
        let _gone = fs::remove_file(&beside);
        return Err(error);
    }
    Ok(ListenSocket::Unix(socket.into()))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn at(socket: &ListenSocket) -> SocketAddr {
        socket.address().unwrap().ip().unwrap()
    }

    #[test]
    fn all_workers_share_the_port_that_the_kernel_chose() -> io::Result<()> {
        let listeners = bind_tcp("127.0.0.1:0".parse().expect("an address"), false, 3)?;
        let ports: Vec<_> = listeners.iter().map(|socket| at(socket).port()).collect();
        assert_eq!(ports.len(), 3);
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]));
        Ok(())
    }

    #[test]
    fn a_port_that_another_listens_on_is_refused_though_both_would_share_it() -> io::Result<()> {
        let first = bind_tcp("127.0.0.1:0".parse().expect("an address"), false, 1)?;
        let refused = bind_tcp(at(&first[0]), false, 1);
        assert_eq!(refused.err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
        Ok(())
    }

    #[test]
    fn both_wildcards_share_a_port_each_with_its_own_family() -> io::Result<()> {
        let ipv6 = bind_tcp("[::]:0".parse().expect("an address"), true, 2)?;
        let port = at(&ipv6[0]).port();
        let ipv4 = bind_tcp(([0, 0, 0, 0], port).into(), false, 2)?;
        TcpStream::connect(("127.0.0.1", port))?;
        TcpStream::connect(("::1", port))?;
        let accepts = |all: &[ListenSocket]| {
            let took = |one: &&ListenSocket| match one {
                ListenSocket::Tcp(socket) => socket.accept().is_ok(),
                ListenSocket::Unix(_) => false,
            };
            all.iter().filter(took).count()
        };
        assert_eq!((accepts(&ipv4), accepts(&ipv6)), (1, 1));
        Ok(())
    }

    #[test]
    fn a_unix_socket_has_its_mode_and_takes_the_place_of_a_dead_one_only() {
        let name = format!("firstbyte-bind-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("s");
        let unix = |mode| Listener { mode, ..ListenAddress::Unix(path.clone()).into() };
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let first = bind(&unix(0o640), &[], 4).unwrap();
        assert_eq!((first.len(), mode()), (1, 0o640));
        assert_eq!(bind(&unix(0o600), &[], 4).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        let _second = bind(&unix(0o606), &[], 4).unwrap();
        assert_eq!(mode(), 0o606);
        UnixStream::connect(&path).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        assert_eq!(bind(&unix(0o600), &[], 4).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        fs::remove_dir_all(folder).unwrap();
    }
}
