//! What clients used and what their limits stand at, kept over restarts: `store: DIR`.
//!
//! One thread, which is no worker, reads the counters twice a second and writes what changed to a database
//! (`keeper`). Nothing of it is on the path of a request. One process has the database at a time. A process that is
//! taken over lets go of it before its successor accepts, and hands what it charges from then on to the successor
//! through a journal beside it. A database that is damaged is set aside, and no process starts without one until
//! the operator has decided (`folder`).
//!
//! Parts, each of which uses only those above it:
//! - `cells`: what is counted. `source`: who counts it. `error`: what can go wrong.
//! - `folder`: files and their names. `database`, `journal`: their content.
//! - `changes`: what is to be written, decided by what was written before. `opening`: from a folder to what is kept.
//! - `query`: what was used from one day to another, and how that is printed.
//! - `keeper`: the thread.

mod cells;
mod changes;
mod database;
mod error;
mod folder;
mod journal;
mod keeper;
mod opening;
mod query;
mod source;
#[cfg(test)]
mod tests;

pub use cells::{Balance, Cells};
pub use error::StoreError;
pub use folder::{is_same, running_at};
pub use keeper::Keeper;
pub use opening::Store;
pub use query::report::{Report, TooMany, offline};
pub use query::{By, Format, Query};
pub use source::{Kept, Source};
