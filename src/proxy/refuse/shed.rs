//! Which refusals are for want of room: they are counted apart, since more room or less load cures them.

use crate::error::Kind;
use crate::record::Shed;

pub(super) fn why(kind: Kind) -> Option<Shed> {
    Some(match kind {
        Kind::TooManyConnections => Shed::Connections,
        Kind::Busy => Shed::Streams,
        Kind::RouteBusy => Shed::RouteStreams,
        Kind::UpstreamBusy => Shed::UpstreamStreams,
        Kind::UpstreamRateLimited => Shed::UpstreamRateLimit,
        Kind::PoolQueueFull => Shed::QueueFull,
        Kind::PoolQueueTimeout => Shed::QueueTimeout,
        Kind::LocalLimit => Shed::Sockets,
        Kind::MemoryShort => Shed::Memory,
        _ => return None,
    })
}
