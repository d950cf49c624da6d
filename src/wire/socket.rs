//! Socket options that decide latency and how soon a dead peer is noticed.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// How long sent bytes may stay unacknowledged before the kernel gives the connection up
/// (RFC 5482). Under a minute, so that a blackholed peer is noticed before people are.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Idle time before the first keep-alive probe: shorter than the idle timeouts of common cloud
/// load balancers and NAT tables (60 s and more), so that pooled connections outlive them.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(45);

/// Time between keep-alive probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// The options as the kernel reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketOptions {
    /// `TCP_NODELAY`
    pub nodelay: bool,
    /// `SO_KEEPALIVE`
    pub keepalive: bool,
    /// `TCP_KEEPIDLE`
    pub keepalive_idle: Duration,
    /// `TCP_USER_TIMEOUT`
    pub user_timeout: Option<Duration>,
}

/// Sets what every data-path socket has, on either side.
///
/// # Errors
/// The kernel's refusal, for example where the socket is not TCP.
pub fn tune<S: std::os::fd::AsFd>(socket: &S) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL),
    )?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

/// While this is on, a close of this socket is a reset, so that the peer can't take it for an orderly
/// end. Where even that is refused the socket is gone already.
pub(super) fn abort_on_close<S: std::os::fd::AsFd>(socket: &S, on: bool) {
    let _gone = SockRef::from(socket).set_linger(on.then_some(Duration::ZERO));
}

impl SocketOptions {
    /// Reads the options back from the kernel.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn read<S: std::os::fd::AsFd>(socket: &S) -> io::Result<Self> {
        let socket = SockRef::from(socket);
        Ok(Self {
            nodelay: socket.tcp_nodelay()?,
            keepalive: socket.keepalive()?,
            keepalive_idle: socket.tcp_keepalive_time()?,
            user_timeout: socket.tcp_user_timeout()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_reports_what_was_set() -> io::Result<()> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let socket = std::net::TcpStream::connect(listener.local_addr()?)?;
        assert!(!SocketOptions::read(&socket)?.nodelay, "the default is what we are changing");
        tune(&socket)?;
        assert_eq!(
            SocketOptions::read(&socket)?,
            SocketOptions {
                nodelay: true,
                keepalive: true,
                keepalive_idle: KEEPALIVE_IDLE,
                user_timeout: Some(USER_TIMEOUT),
            }
        );
        Ok(())
    }
}
