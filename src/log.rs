//! What the process says of itself, on stderr. Requests are in the access log, not here.

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging as `RUST_LOG` says: a level, or `target=level,…`; `info` of our own without it.
/// `NO_COLOR`, or stderr not being a terminal, turns colours off. Called a second time it changes
/// nothing.
///
/// # Errors
/// `RUST_LOG` cannot be understood; the text says how it is written.
pub fn start() -> Result<(), String> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(wanted) if !wanted.is_empty() => wanted.parse::<Targets>().map_err(|error| {
            format!("RUST_LOG={wanted:?}: {error}; write a level such as debug, or firstbyte=debug")
        })?,
        _ => Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("firstbyte", LevelFilter::INFO),
    };
    let colours = std::env::var_os("NO_COLOR").is_none() && std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let _already_started = tracing_subscriber::registry().with(lines).with(filter).try_init();
    Ok(())
}
