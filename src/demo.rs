//! `firstbyte demo`.

use std::error::Error;
use std::process::ExitCode;

use crate::cli::Demo;

/// Runs it.
pub fn run(_wanted: &Demo) -> Result<ExitCode, Box<dyn Error>> {
    Ok(ExitCode::FAILURE)
}
