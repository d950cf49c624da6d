//! Clients and servers that tests drive by hand.

pub(crate) mod egress_proxy;
pub(crate) mod http1_client;
pub(crate) mod http2_client;
pub(crate) mod name_service;
pub(crate) mod origin;
pub(crate) mod raw_frames;
pub(crate) mod raw_http1;
pub(crate) mod raw_http2;
pub(crate) mod raw_log;
pub(crate) mod raw_upstream;
pub(crate) mod steady;
pub(crate) mod tap;
pub(crate) mod tls_server;
