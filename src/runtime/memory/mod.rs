//! The thread that looks at memory, where there is a ceiling: off the data path, ten times a second, and
//! more often the nearer it is. It ends by itself once nobody asks for admission any more.

pub(crate) mod give_back;
mod meter;

use std::sync::Arc;
use std::time::Instant;

use super::error::StartError;
use crate::admit::{Admission, Level, LevelSetter, MemoryMonitor};
use crate::config::MemoryLimit;
use crate::record::Ceilings;
use meter::Meter;

/// Begins to watch, if there is a ceiling.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn watch(
    limit: MemoryLimit,
    admission: &Admission,
    ceilings: &Arc<Ceilings>,
) -> Result<(), StartError> {
    let (meter, ceiling) = match limit {
        MemoryLimit::Off => return Ok(()),
        MemoryLimit::Bytes(bytes) => (Meter::Process, bytes),
        MemoryLimit::Auto => match Meter::of_group() {
            Some(found) => found,
            None => return Ok(()),
        },
    };
    ceilings.set_memory(ceiling);
    let (level_setter, ceilings) =
        (admission.pressure().level_setter(ceiling), Arc::clone(ceilings));
    std::thread::Builder::new()
        .name("memory".into())
        .spawn(move || look(&meter, ceiling, &level_setter, &ceilings))
        .map(drop)
        .map_err(|error| StartError::Io("start the memory thread", error))
}

fn look(meter: &Meter, ceiling: u64, level_setter: &LevelSetter, ceilings: &Ceilings) {
    let mut monitor = MemoryMonitor::new(ceiling, Instant::now());
    let (mut before, mut pause) = (Level::Calm, monitor.pause(0));
    while level_setter.is_seen() {
        // What cannot be read says nothing, and nobody is refused for it.
        if let Some(used) = meter.used() {
            let level = monitor.see(used, Instant::now());
            pause = monitor.pause(used);
            ceilings.saw_memory(used, level as u8);
            level_setter.show(level, monitor.headroom(used));
            if level != before {
                tell(level, used, ceiling);
                before = level;
            }
        }
        std::thread::park_timeout(pause); // nobody wakes it; early is no harm
    }
}

fn tell(level: Level, used: u64, ceiling: u64) {
    match level {
        Level::Calm => {
            tracing::info!(used, ceiling, "memory below the limit: accepting requests again");
        }
        Level::Shed => {
            tracing::warn!(used, ceiling, "memory near limits.memory: rejecting new requests");
        }
        Level::Shut => tracing::warn!(
            used,
            ceiling,
            "memory near limits.memory: rejecting new requests and new connections"
        ),
    }
}
