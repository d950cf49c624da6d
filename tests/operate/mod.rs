//! The program as an operator sees it: start, reload, drain, upgrade, metrics.

mod cli;
mod drain;
mod handover;
mod hanging_files;
mod keep_alive;
mod lame_duck;
mod observed;
mod prometheus;
pub(crate) mod reload;
mod reload_gone;
mod reload_load;
mod reload_program;
mod sockets;
