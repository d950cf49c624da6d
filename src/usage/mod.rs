//! `firstbyte usage`: what a store has. Where a proxy has it open, that one is asked, by its admin listener.

mod ask;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use crate::cli;
use crate::config::{self, ProcessEnv};
use crate::store::{self, By, Format, Query, StoreError};

/// As for what clap refuses.
const WRONG_USAGE: u8 = 2;

/// Prints it.
///
/// # Errors
/// There is no store, it cannot be read, or the proxy that has it cannot be asked.
pub fn run(wanted: &cli::Usage, out: &mut dyn Write) -> Result<ExitCode, Box<dyn Error>> {
    let query = match query(wanted) {
        Ok(query) => query,
        Err(why) => {
            writeln!(io::stderr(), "firstbyte usage: {why}")?;
            return Ok(ExitCode::from(WRONG_USAGE));
        }
    };
    let folder = folder(wanted)?;
    let text = match store::offline(&folder, query.clone()) {
        Ok(report) => report?.text(),
        Err(StoreError::InUse(_)) => {
            let admin = store::running_at(&folder).ok_or_else(|| {
                format!(
                    "a proxy uses {}, and has no admin listener that could be asked",
                    folder.display()
                )
            })?;
            ask::ask(admin, &query)?
        }
        Err(error) => return Err(error.into()),
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn query(wanted: &cli::Usage) -> Result<Query, String> {
    let by = By::parse(&wanted.by).map_err(|why| format!("--by: {why}"))?;
    let format = Format::parse(&wanted.format)?;
    Query::new(wanted.since, wanted.until, Some(by), Some(format), SystemTime::now())
}

fn folder(wanted: &cli::Usage) -> Result<PathBuf, Box<dyn Error>> {
    if let Some(folder) = &wanted.store {
        return Ok(folder.clone());
    }
    let path = wanted.config.as_deref().unwrap_or_else(|| "firstbyte.yaml".as_ref());
    let config = config::load(path, &ProcessEnv)?;
    Ok(config
        .store
        .ok_or_else(|| format!("{}: `store` is not set: usage is not kept", path.display()))?)
}
