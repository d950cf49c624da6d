//! The proxy between two scripted ends, on the wire. One file per room and one per way a peer
//! misbehaves.

#![allow(clippy::expect_used, reason = "a test that cannot go on says where and why")]

mod browser;
mod clients;
mod door;
mod events;
mod fanout;
mod faults;
mod groups;
mod kept;
mod keys;
mod models;
mod observe;
mod operate;
mod overload;
mod path;
mod real;
mod sdk;
mod security;
mod sharing;
mod streams;
mod support;
mod upstreams;
