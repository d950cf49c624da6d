//! `loadtest soak`: a proxy under random traffic and faults.

use std::path::PathBuf;
use std::time::Duration;

use crate::duration;
use crate::soak::{self, Spec};

use super::Exit;
use super::trouble::Trouble;

/// Start a proxy, soak it in random traffic and faults, and give a verdict.
///
/// COMMAND is the proxy. It finds in its environment what to do: SOAK_LISTEN and SOAK_ADMIN, the addresses it must listen
/// at for clients and for GET /metrics; SOAK_HTTP2 and SOAK_HTTP1, the API bases of two mock upstreams (HTTP/2 under TLS
/// with the authority in the file SOAK_CA, and HTTP/1.1 in clear). Requests to /v1 belong to the first, requests to /one/v1 to
/// the second, as /v1. Clients speak HTTP/1.1 and HTTP/2 in clear.
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "the comments are the help's text")]
#[command(
    args_override_self = true,
    after_help = "Exit codes: 0 it passed, 1 it failed, 4 it could not be done.\n\n\
    Example: loadtest soak --for 30m --out soak -- firstbyte -c soak.yaml   (scripts/soak does that)"
)]
pub struct SoakArgs {
    /// For how long
    #[arg(long = "for", value_name = "TIME", default_value = "30m", value_parser = duration::parse)]
    length: Duration,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests at a time
    #[arg(short = 'c', long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    concurrency: u16,
    /// Send the proxy SIGHUP this often
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    reload_every: Option<Duration>,
    /// Series of /metrics that counts requests in flight; it must be 0 at the end
    #[arg(long, value_name = "SERIES", default_value = "firstbyte_streams_in_flight")]
    in_flight: String,
    /// Folder for soak.md, soak.json (with every sample) and proxy.log
    #[arg(long, value_name = "FOLDER", default_value = "soak")]
    out: PathBuf,
    /// The proxy and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Does `loadtest soak`.
pub(super) fn soak(args: SoakArgs) -> Result<Exit, Trouble> {
    let spec = Spec {
        command: args.command,
        length: args.length,
        seed: args.seed,
        slots: usize::from(args.concurrency),
        reload: args.reload_every,
        in_flight: args.in_flight,
        out: args.out,
    };
    let verdict = soak::run(&spec).map_err(|error| Trouble::broken(&error))?;
    print!("{}", verdict.markdown());
    Ok(if verdict.passed() { Exit::Ok } else { Exit::Failed })
}
