//! Arguments → configuration → runtime → run → drain → exit code.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use firstbyte::cli::{self, Cli, Command};
use firstbyte::config::{self, Arguments, ProcessEnv};
#[cfg(feature = "demo")]
use firstbyte::demo;
use firstbyte::runtime::Origin;
use firstbyte::{check, keys, log, serve, usage};

/// Frees and allocates per frame come from the same thread, which is what it is best at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::parse();
    if let Err(fault) = log::start() {
        return refuse(fault);
    }
    match run(cli) {
        Ok(code) => code,
        Err(error) => refuse(chain(&*error)),
    }
}

fn run(cli: Cli) -> Result<ExitCode, Box<dyn Error>> {
    match cli.command {
        None => {
            let origin = if let Some(path) = &cli.config {
                Origin::File(Box::new(config::read(path, &ProcessEnv)?))
            } else {
                let arguments = Arguments { listen: cli.listen, admin: cli.admin };
                Origin::Fixed(Box::new(config::without_file(&ProcessEnv, &arguments)?))
            };
            serve::run(origin)
        }
        Some(Command::Check { config, connect }) => check(config.as_deref(), connect),
        #[cfg(feature = "demo")]
        Some(Command::Demo(wanted)) => demo::run(&wanted),
        Some(Command::Usage(wanted)) => Ok(usage::run(&wanted, &mut io::stdout())?),
        Some(Command::Key { command }) => keys::run(&command),
        Some(Command::Completions { shell }) => {
            cli::completions(shell, &mut io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Schema { table }) => {
            let text = if table { config::key_table() } else { config::json_schema() };
            io::stdout().write_all(text.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(path: Option<&Path>, connect: bool) -> Result<ExitCode, Box<dyn Error>> {
    let (name, config) = match path {
        Some(path) => (path.display().to_string(), config::load(path, &ProcessEnv)?),
        None => ("the environment".to_owned(), config::from_env(&ProcessEnv)?),
    };
    for warning in &config.warnings {
        writeln!(io::stderr(), "warning: {warning}")?;
    }
    writeln!(io::stdout(), "ok: {name}\n{}", config::describe(&config))?;
    if !connect {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(io::stdout())?;
    let all_well = check::connect(&config, &mut io::stdout())?;
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn refuse(fault: impl std::fmt::Display) -> ExitCode {
    // Nobody is left to tell if stderr is gone.
    let _told = writeln!(io::stderr(), "firstbyte: {fault}");
    ExitCode::FAILURE
}

/// The error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
