//! Limits that several processes share through Redis or Valkey.
//!
//! No request waits for it: a process decides by itself on its room of each limit (`admit::quota`), and a thread of its
//! own tells the server what was taken, hears what is left, and grants rooms anew.
//!
//! `script`: what is asked and replied. `link`: the connection. `exchange`: one round trip. `ledger`: one limit as this
//! process shares it. `books`: all of them. `exact`: requests that are decided there. `takes`: which of those are under way. `shared`: what all of
//! these have in common. `driver`: the thread, and what holds while the server cannot be used.
//! The face is [`Shares`].

#[cfg(feature = "redis")]
mod books;
#[cfg(feature = "redis")]
mod driver;
#[cfg(feature = "redis")]
mod exact;
#[cfg(feature = "redis")]
mod exchange;
#[cfg(feature = "redis")]
mod ledger;
#[cfg(feature = "redis")]
mod link;
#[cfg(feature = "redis")]
mod script;
#[cfg(feature = "redis")]
mod shared;
#[cfg(feature = "redis")]
mod shares;
#[cfg(feature = "redis")]
mod takes;
#[cfg(all(test, feature = "redis"))]
mod tests;
#[cfg(not(feature = "redis"))]
mod without;

#[cfg(feature = "redis")]
pub(crate) use shares::Shares;
#[cfg(not(feature = "redis"))]
pub(crate) use without::Shares;
