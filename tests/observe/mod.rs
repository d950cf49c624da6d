//! What an operator sees of a proxy: the access log its rotation, and the alerts.

mod access_log;
mod alerts;
mod ends;
