//! What an operator sees of a proxy: the access log and its rotation, the alerts, `firstbyte check --connect`.

mod access_log;
mod alerts;
mod check_connect;
mod ends;
