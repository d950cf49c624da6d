//! `loadtest soak`: a proxy under random traffic and faults.

use std::path::PathBuf;
use std::time::Duration;

use crate::duration;
use crate::soak::{self, Spec};

use super::Exit;
use super::trouble::Trouble;

/// Run a proxy under random traffic and faults for a long time, and report pass or fail.
///
/// COMMAND starts the proxy. Environment variables tell it what to do. SOAK_LISTEN and SOAK_ADMIN
/// are the addresses on which it must listen for clients and for GET /metrics. SOAK_HTTP2 and
/// SOAK_HTTP1 are the API bases of two mock upstreams: HTTP/2 over TLS, with the certificate
/// authority in the file SOAK_CA, and HTTP/1.1 without TLS. The proxy must forward /v1 to the first
/// and /one/v1 to the second, as /v1. Clients use HTTP/1.1 and HTTP/2 without TLS.
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "the comments are the help's text")]
#[command(
    args_override_self = true,
    after_help = "Exit codes: 0 passed, 1 failed, 4 could not be completed.\n\
        \n\
        Example: loadtest soak --for 30m --out soak -- firstbyte -c soak.yaml   (scripts/soak \
        does this)"
)]
pub struct SoakArgs {
    /// How long to run
    #[arg(long = "for", value_name = "TIME", default_value = "30m", value_parser = duration::parse)]
    length: Duration,
    /// Random seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of concurrent requests
    #[arg(short = 'c', long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    concurrency: u16,
    /// Send SIGHUP to the proxy at this interval
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    reload_every: Option<Duration>,
    /// Metric on /metrics that counts requests in flight; it must be 0 at the end
    #[arg(long, value_name = "SERIES", default_value = "firstbyte_streams_in_flight")]
    in_flight: String,
    /// Directory for soak.md, soak.json (with every sample) and proxy.log
    #[arg(long, value_name = "FOLDER", default_value = "soak")]
    out: PathBuf,
    /// Command that starts the proxy, with its arguments, after --
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
