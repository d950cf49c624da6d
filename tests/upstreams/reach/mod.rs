//! How an upstream is reached: TLS, a proxy before it, a Unix socket.

mod egress;
mod tls;
mod unix_sockets;
