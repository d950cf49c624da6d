//! More than there is room for.

mod adapt;
mod burst;
mod descriptors;
mod fair_turns;
mod floods;
mod limits;
mod memory;
mod memory_unread;
mod ports;
