//! Keys, paths and requests that mean harm.

mod clients;
mod cors;
mod credentials;
mod own_upstream;
mod secrets;
mod smuggling;
mod traversal;
mod underscores;
mod web_pages;
