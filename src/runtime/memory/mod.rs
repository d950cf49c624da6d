//! The thread that looks at memory, where there is a ceiling: off the data path, ten times a second, and
//! more often the nearer it is. It ends by itself once nobody asks the gate any more.

mod meter;

use std::sync::Arc;
use std::time::Instant;

use super::start::StartError;
use crate::admit::{Gate, Gauge, Level, Watch};
use crate::config::MemoryLimit;
use crate::record::Ceilings;
use meter::Meter;

/// Begins to watch, if there is a ceiling.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn watch(
    limit: MemoryLimit,
    gate: &Gate,
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
    let (gauge, ceilings) = (gate.pressure().gauge(ceiling), Arc::clone(ceilings));
    std::thread::Builder::new()
        .name("memory".into())
        .spawn(move || look(&meter, ceiling, &gauge, &ceilings))
        .map(drop)
        .map_err(|error| StartError::Io("start the thread that watches memory", error))
}

fn look(meter: &Meter, ceiling: u64, gauge: &Gauge, ceilings: &Ceilings) {
    let mut watch = Watch::new(ceiling, Instant::now());
    let (mut before, mut pause) = (Level::Calm, watch.pause(0));
    while gauge.is_seen() {
        // What cannot be read says nothing, and nobody is refused for it.
        if let Some(used) = meter.used() {
            let level = watch.see(used, Instant::now());
            pause = watch.pause(used);
            ceilings.saw_memory(used, level as u8);
            gauge.show(level, watch.room(used));
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
        Level::Calm => tracing::info!(used, ceiling, "memory: taking requests again"),
        Level::Shed => tracing::warn!(used, ceiling, "memory: refusing new requests"),
        Level::Shut => tracing::warn!(used, ceiling, "memory: refusing new connections too"),
    }
}
