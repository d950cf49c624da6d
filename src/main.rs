//! Arguments → configuration → runtime → run → drain → exit code.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use firstbyte::cli::{self, Cli, Command};
use firstbyte::config::{self, Config, Faults, ProcessEnv};
use firstbyte::{demo, log, runtime};
use tokio::signal::unix::{SignalKind, signal};

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
            let config = match &cli.config {
                Some(path) => config::load(path, &ProcessEnv),
                None => config::from_env(&ProcessEnv),
            };
            config.map_err(Faults::into).and_then(|config| serve(config, cli.config.is_none()))
        }
        Some(Command::Check { config: path }) => {
            let config = config::load(&path, &ProcessEnv)?;
            writeln!(io::stdout(), "ok: {}\n{}", path.display(), config::describe(&config))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Demo(wanted)) => demo::run(&wanted),
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

/// Runs until SIGTERM or SIGINT, then drains; a second one means now.
fn serve(config: Config, explain: bool) -> Result<ExitCode, Box<dyn Error>> {
    let proxy = runtime::start(config)?;
    for address in proxy.addresses() {
        tracing::info!("listening on http://{address}");
    }
    if let Some(admin) = proxy.admin() {
        tracing::info!("admin on http://{admin} (/livez /readyz /metrics /stats)");
    }
    if explain && let Some(address) = proxy.addresses().first() {
        tracing::info!("point an SDK at it: OPENAI_BASE_URL=http://{address}/v1 (any api key)");
    }
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    signals.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        tracing::info!("draining; a second signal ends at once");
        proxy.drain();
        let stopper = proxy.stopper();
        let drained = tokio::task::spawn_blocking(move || proxy.join());
        tokio::pin!(drained);
        let cut = tokio::select! {
            cut = &mut drained => cut?,
            () = async { tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} } } => {
                stopper.stop();
                drained.await?
            }
        };
        tracing::info!(cut, "ended");
        Ok(ExitCode::SUCCESS)
    })
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
