//! What an operator sees of a proxy: the access log and its rotation.

mod access_log;
