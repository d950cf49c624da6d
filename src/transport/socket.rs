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

/// How much later than ourselves the kernel gives a client up.
const LATER: Duration = Duration::from_secs(10);

/// Bytes that the kernel takes for a peer beyond what its window lets it send. A client that does not read
/// would otherwise make it hold megabytes, which count against the memory of a control group. What is in
/// flight to a distant client is not bounded by this.
const UNSENT: u32 = 128 * 1024;

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

/// Sets what a client's socket has besides. A peer whose window stays shut is ours to give up, after
/// `stall`; the kernel's own patience, which counts from a little earlier, must not come before.
///
/// # Errors
/// The kernel's refusal.
pub fn tune_client<S: std::os::fd::AsFd>(socket: &S, stall: Duration) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT.max(stall + LATER)))?;
    socket.set_tcp_notsent_lowat(UNSENT)
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

    #[test]
    fn the_kernel_waits_longer_for_a_client_than_we_do() -> io::Result<()> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let socket = std::net::TcpStream::connect(listener.local_addr()?)?;
        for stall in [Duration::from_millis(400), USER_TIMEOUT, Duration::from_secs(600)] {
            tune(&socket)?;
            tune_client(&socket, stall)?;
            let kernel = SocketOptions::read(&socket)?.user_timeout;
            assert!(kernel >= Some(USER_TIMEOUT) && kernel > Some(stall), "{kernel:?}");
        }
        assert_eq!(SockRef::from(&socket).tcp_notsent_lowat()?, UNSENT);
        Ok(())
    }
}
