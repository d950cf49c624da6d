//! Streams and named events that several processes have together through Redis or Valkey.
//!
//! A thread of its own has two connections: one for commands, and one that waits for what others write. No byte of an
//! answer waits for it. A kept stream's bytes are written in batches as its ring gets them (`sending`), and a process that is
//! asked for a stream of another reads them into a ring of its own (`finding`). What is published is written
//! first and read back by all (`publishing`), so that its order is one. What processes tell each other are `orders`, and
//! whom each has are its lists (`present`).
//!
//! `wire`: connections, keys and replies. `held`: what this process has of others. `shared`: what the thread and requests have
//! in common. `driver`: the thread, and `reading` its second connection. The face is [`Fanout`].

#[cfg(feature = "redis")]
mod driver;
#[cfg(feature = "redis")]
mod elsewhere;
#[cfg(feature = "redis")]
mod finding;
#[cfg(feature = "redis")]
mod held;
#[cfg(feature = "redis")]
mod orders;
#[cfg(feature = "redis")]
mod present;
#[cfg(feature = "redis")]
mod publishing;
#[cfg(feature = "redis")]
mod reading;
#[cfg(feature = "redis")]
mod sending;
#[cfg(feature = "redis")]
mod shared;
#[cfg(feature = "redis")]
mod wire;
#[cfg(not(feature = "redis"))]
mod without;

#[cfg(feature = "redis")]
pub(crate) use elsewhere::Fanout;
#[cfg(not(feature = "redis"))]
pub(crate) use without::Fanout;
