//! How far memory is from its ceiling, and what follows.
//!
//! Between two looks memory is not measured. So each look hands out what may be taken until the next one:
//! so much for new requests, and so much for bytes that are held for peers who do not take them. `monitor`
//! decides, `pressure` shows it to the workers.

mod monitor;
mod pressure;
#[cfg(test)]
mod tests;

pub use monitor::{Headroom, Level, MemoryMonitor};
pub use pressure::{LevelSetter, Pressure};
pub(in crate::admit) use pressure::{Look, Weight};
