//! The file as text: what is wrong with it, and what it may hold that others write.

mod any_bytes;
mod faults;
mod habits;

use super::{World, least};
