//! `firstbyte demo`: everything at once, on a mock upstream of its own.

mod compare;
mod ends;
mod keep;
mod live;
mod screen;
mod table;
mod upstream;

use std::error::Error;
use std::process::ExitCode;

use crate::cli::Demo;

use ends::Ends;
use screen::Screen;

/// Starts an upstream and the proxy, shows one stream as it arrives, compares direct streams with
/// streams through the proxy, and prints what was added. Fails with exit code 1 where a byte
/// differed or a stream did not end whole. Needs no key and no network; leaves no file behind.
///
/// # Errors
/// An end cannot be started, or stdout is gone.
pub fn run(wanted: &Demo) -> Result<ExitCode, Box<dyn Error>> {
    let mut screen = Screen::stdout();
    let ends = Ends::start(wanted)?;
    screen.line(&format!(
        "firstbyte {} on {}, forwarding to a mock upstream on {} (TLS, HTTP/2)\n",
        env!("CARGO_PKG_VERSION"),
        ends.proxy_url(),
        ends.upstream_url(),
    ))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let passed = runtime.block_on(async {
        live::show(&ends, &mut screen).await?;
        let compared = compare::run(&ends, wanted, &mut screen).await?;
        let inside = compare::inside(&ends).await;
        for line in table::lines(&screen, wanted, &compared, inside.as_ref()) {
            screen.line(&line)?;
        }
        if wanted.keep {
            keep::until_told(&ends, &mut screen).await?;
        }
        Ok::<_, Box<dyn Error>>(compared.passed())
    })?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
