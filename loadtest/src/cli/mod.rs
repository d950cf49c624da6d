//! The command line.

/// What both `run` and `compare` take.
mod args;
/// The command line as a report shows it.
mod command_line;
/// `loadtest compare`.
mod compare;
/// File descriptors.
mod files;
/// Progress while a run goes on.
mod live;
/// `loadtest run`.
mod run;
/// Options kept in files.
mod scenario;
/// From arguments to a run, and from a run to its report and exit code.
mod session;
/// `loadtest soak`.
mod soak;
/// From arguments to the plan of a target.
mod target_plan;
/// Why a run has no report.
mod trouble;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use compare::CompareArgs;
pub use run::RunArgs;
pub use soak::SoakArgs;

/// Exit codes, as the help tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    Void = 3,
    Broken = 4,
}

/// Load tester for streaming, OpenAI-compatible HTTP APIs: measures first bytes, gaps and one-way
/// times.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 success, 1 a condition failed, 2 wrong usage, 3 void (the load \
        generator fell behind), 4 the run could not be completed.\n\
        \n\
        --scenario FILE, anywhere, inserts the options in FILE, one per line; later options \
        override earlier ones."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send requests to one target and measure it
    Run(Box<RunArgs>),
    /// Compare targets in rotation: show what each one adds to the first
    Compare(Box<CompareArgs>),
    /// Run a proxy under random traffic and faults for a long time, and report pass or fail
    Soak(Box<SoakArgs>),
    /// Run the mock upstream
    Upstream(Box<crate::upstream::cli::Args>),
}

fn serve(args: crate::upstream::cli::Args) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(crate::upstream::cli::run(args))
}

/// Runs the command line; the exit code says how it went.
pub fn main() -> ExitCode {
    let expanded = scenario::expand(std::env::args());
    let done = expanded.and_then(|args| {
        let cli = Cli::parse_from(args);
        files::prepare();
        cli.command.run()
    });
    let exit = done.unwrap_or_else(|trouble| {
        eprintln!("loadtest: {trouble}");
        trouble.exit()
    });
    ExitCode::from(exit as u8)
}

impl Command {
    fn run(self) -> Result<Exit, trouble::Trouble> {
        match self {
            Self::Run(args) => run::run(&args),
            Self::Compare(args) => compare::compare(&args),
            Self::Soak(args) => soak::soak(*args),
            Self::Upstream(args) => {
                let served = serve(*args).map(|()| Exit::Ok);
                served.map_err(|error| trouble::Trouble::broken(&error))
            }
        }
    }
}
