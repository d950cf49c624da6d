//! Opening the sockets to listen on.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel may hold for us while a worker is busy; the kernel caps it at
/// `net.core.somaxconn`.
pub(super) const BACKLOG: i32 = 4096;

/// Opens the listening sockets of all workers for one address; with port 0 they share the port that
/// the first is given. A port on which another process listens already is refused, although the
/// kernel would let two processes of one user share it: half the connections would go astray. `only_ipv6`:
/// IPv4 is another listener's; without it `[::]` takes both, whatever the machine's default is.
///
/// # Errors
/// The address cannot be bound.
pub fn bind(address: SocketAddr, only_ipv6: bool, workers: usize) -> io::Result<Vec<StdListener>> {
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
        let listener = StdListener::from(socket);
        address = listener.local_addr()?;
        listeners.push(listener);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn all_workers_share_the_port_that_the_kernel_chose() -> io::Result<()> {
        let listeners = bind("127.0.0.1:0".parse().expect("an address"), false, 3)?;
        let ports: Vec<_> =
            listeners.iter().map(|l| l.local_addr().map(|a| a.port())).collect::<Result<_, _>>()?;
        assert_eq!(ports.len(), 3);
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]));
        Ok(())
    }

    #[test]
    fn a_port_that_another_listens_on_is_refused_though_both_would_share_it() -> io::Result<()> {
        let first = bind("127.0.0.1:0".parse().expect("an address"), false, 1)?;
        let refused = bind(first[0].local_addr()?, false, 1);
        assert_eq!(refused.err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
        Ok(())
    }

    #[test]
    fn both_wildcards_share_a_port_each_with_its_own_family() -> io::Result<()> {
        let ipv6 = bind("[::]:0".parse().expect("an address"), true, 2)?;
        let port = ipv6[0].local_addr()?.port();
        let ipv4 = bind(([0, 0, 0, 0], port).into(), false, 2)?;
        TcpStream::connect(("127.0.0.1", port))?;
        TcpStream::connect(("::1", port))?;
        let accepts = |all: &[StdListener]| all.iter().filter(|one| one.accept().is_ok()).count();
        assert_eq!((accepts(&ipv4), accepts(&ipv6)), (1, 1));
        Ok(())
    }
}
