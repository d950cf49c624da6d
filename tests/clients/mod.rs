//! Clients that leave, do not read, never say anything, or wait.

mod cancel;
mod cancel_storm;
mod cancel_time;
mod heartbeats;
mod idle;
mod idle_connections;
mod never_read;
mod slow_bodies;
mod slow_reader;
mod stalled_neighbours;
mod stream_ends;
