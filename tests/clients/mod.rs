//! Clients that leave, do not read, or never say anything.

mod cancel;
mod cancel_storm;
mod cancel_time;
mod idle;
mod idle_connections;
mod never_read;
mod slow_bodies;
mod slow_reader;
mod stalled_neighbours;
mod stream_ends;
