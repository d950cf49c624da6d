//! The mock upstream, seen from the wire: every fault as a client meets it.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod client;
mod endpoints;
mod faults_http1;
mod faults_http2;
mod outside;
mod streams;
