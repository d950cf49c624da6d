//! The mock upstream, seen from the wire: every fault as a client meets it.

mod client;
mod endpoints;
mod faults_http1;
mod faults_http2;
mod outside;
mod streams;
