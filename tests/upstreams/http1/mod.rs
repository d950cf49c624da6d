//! Upstreams that speak HTTP/1.1: what they are sent, what they may answer, and what happens between two requests.

mod answers;
mod idle;
mod requests;
