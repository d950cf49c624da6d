//! Drives the proxy turn by turn, for `scripts/instructions` to count what it executes.
//!
//! `instructions CASE ROUNDS` prints how many turns counted. Accept, proxy, relay, record and upstream
//! are those of the shipped binary, on one thread and one runtime; client and upstream are scripted on
//! plain sockets over loopback and move only between turns, so that nothing of theirs is counted and
//! nothing is left to a scheduler.

use std::error::Error;
use std::io::{self, Write};

mod cases;
mod rig;

use cases::Case;
use rig::{Knows, Rig};

/// As in the shipped binary: allocation is a good part of what is counted.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "instructions idle|request|frame|burst|cancel[-http2][-clients] ROUNDS";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or(USAGE)?;
    let (name, knows) = match name.strip_suffix("-clients") {
        Some(name) => (name, Knows::Clients),
        None => (&*name, Knows::Nobody),
    };
    let case = Case::named(name).ok_or(USAGE)?;
    let rounds = arguments.next().and_then(|text| text.parse().ok()).ok_or(USAGE)?;
    let mut rig = Rig::start(knows)?;
    case.run(&mut rig, rounds)?;
    writeln!(io::stdout(), "turns {}", rig.turns())?;
    Ok(())
}
