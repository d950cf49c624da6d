//! What both `run` and `compare` take.
#![expect(clippy::doc_markdown, reason = "the comments are the help's text")]

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::client::{Protocol, STREAMS_PER_CONNECTION};
use crate::duration;
use crate::load::schedule::{Arrivals, parse_size};
use crate::load::slow::Slow;
use crate::measure::Goals;
use crate::request::Api;
use crate::verdict::{Bounds, Condition};

/// Which requests are sent.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Requests")]
pub(super) struct RequestArgs {
    /// API to call [default: taken from the URL's path, or else chat]
    #[arg(long, value_enum)]
    pub(super) api: Option<Api>,
    /// Method [default: the API's; GET without a body, POST with one]
    #[arg(short = 'm', long)]
    pub(super) method: Option<Method>,
    /// Header to send, e.g. -H 'x-team: a'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Body template, or @FILE; {{prompt}} {{model}} {{max_tokens}} {{stream}} {{number}} are
    /// replaced, text is escaped for JSON
    #[arg(short = 'd', long, value_name = "TEXT|@FILE")]
    pub(super) body: Option<String>,
    /// Value of {{model}}
    #[arg(long, default_value = "mock")]
    pub(super) model: String,
    /// Value of {{max_tokens}}
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub(super) max_tokens: u64,
    /// Request complete responses instead of streams
    #[arg(long)]
    pub(super) no_stream: bool,
    /// File of prompts, one per line: plain text, or JSON with a "prompt"
    #[arg(long, value_name = "FILE")]
    pub(super) prompt_file: Option<PathBuf>,
    /// Size of generated prompts: 500, 64k, 1m
    #[arg(long, default_value = "64", value_name = "BYTES", value_parser = parse_size)]
    pub(super) prompt_bytes: usize,
    /// Number of different prompts to generate
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub(super) prompt_count: usize,
    /// Environment variable that holds the API key; OPENAI_API_KEY if given without a value
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "OPENAI_API_KEY")]
    pub(super) api_key_env: Option<String>,
}

impl RequestArgs {
    /// The header lines, in order.
    pub(super) fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            map.append(name, value.clone());
        }
        map
    }
}

/// How targets are reached.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connections")]
pub(super) struct ConnectArgs {
    /// HTTP version: auto uses HTTP/2 if TLS negotiates it; 2 on http:// uses prior knowledge
    #[arg(long, default_value = "auto", value_parser = parse_protocol, value_name = "auto|1.1|2")]
    pub(super) http: Protocol,
    /// File of root certificates to trust instead of the platform's (PEM)
    #[arg(long, value_name = "FILE")]
    pub(super) cacert: Option<PathBuf>,
    /// Open a new connection for each request
    #[arg(long)]
    pub(super) cold: bool,
    /// Connections to open before the first request [default: as many as the closed loop's
    /// concurrency needs, or 16 concurrent requests in an open loop]
    #[arg(long, value_name = "N")]
    pub(super) connections: Option<usize>,
    /// Maximum number of concurrent requests on one HTTP/2 connection
    #[arg(long, default_value_t = STREAMS_PER_CONNECTION, value_name = "N")]
    pub(super) streams: usize,
    /// Use kernel receive timestamps (Linux) to show the load tester's own delay
    #[arg(long)]
    pub(super) kernel_stamps: bool,
    /// Timeout for connecting, including TLS
    #[arg(long, default_value = "10s", value_parser = duration::parse, value_name = "TIME")]
    pub(super) connect_timeout: Duration,
}

/// When requests are sent.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Load")]
pub(super) struct LoadArgs {
    /// Open loop: requests per second, independent of how fast the target responds
    #[arg(short = 'q', long, value_name = "PER_SECOND", value_parser = parse_rate)]
    pub(super) rate: Option<f64>,
    /// Distribution of request starts in an open loop
    #[arg(long, value_enum, default_value = "constant")]
    pub(super) arrivals: Arrivals,
    /// Closed loop: requests in flight (default 8). Open loop: maximum in flight (default 10000); a
    /// request that is due while the maximum is reached waits, and its wait is counted
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) concurrency: Option<u32>,
    /// Closed loop: pause after each request before the next one
    #[arg(long, default_value = "0s", value_parser = duration::parse, value_name = "TIME")]
    pub(super) think: Duration,
    /// Slow readers: a share of the requests reads at a limited rate, or pauses after each read:
    /// 10%@16k/s, 5%@200ms. They are counted and verified, but excluded from all latencies
    #[arg(long, value_name = "SHARE@PACE")]
    pub(super) slow: Option<Slow>,
    /// Timeout of one request, from start to end
    #[arg(long, default_value = "60s", value_parser = duration::parse, value_name = "TIME")]
    pub(super) timeout: Duration,
    /// Random seed of arrivals, prompts, rotation and bootstrap
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Number of threads that send requests; each has its own connections
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: u16,
}

/// What a run must keep to.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Verdict")]
pub(super) struct VerdictArgs {
    /// Compare each stream with the SHA-256 that the mock upstream sends; the run fails on any
    /// difference, or if nothing could be compared
    #[arg(long)]
    pub(super) verify: bool,
    /// Goals that a request must meet to count as goodput: 'ttft:200ms tpot:30ms'
    #[arg(long, value_name = "GOALS", default_value = "")]
    pub(super) goodput: Goals,
    /// Fail the run (exit 1) if this condition is true: 'ttfb_p99>5ms', 'error_rate>1%',
    /// 'NAME:added_ttfb_p50>200us'; may be repeated
    #[arg(long, value_name = "CONDITION")]
    pub(super) fail_if: Vec<Condition>,
    /// Mark the run void (exit 3) if the p99 of the load generator's own lag is above this
    #[arg(long, default_value = "5ms", value_parser = duration::parse, value_name = "TIME")]
    pub(super) max_lag: Duration,
    /// Mark the run void (exit 3) if a worker of an open loop waited for a processor for more than
    /// this share of the time
    #[arg(long, default_value_t = Bounds::default().waiting, value_name = "SHARE")]
    pub(super) max_waiting: f64,
    /// Exit with 0 even if the run is void; the report still says that it is
    #[arg(long)]
    pub(super) allow_void: bool,
}

impl VerdictArgs {
    /// The bounds on the generator.
    pub(super) fn bounds(&self) -> Bounds {
        Bounds { lag: self.max_lag, waiting: self.max_waiting, ..Bounds::default() }
    }
}

/// How the run is shown.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct ShowArgs {
    #[command(flatten)]
    pub(super) files: crate::report::output::Files,
    /// Time between updates of the live view, the interval log and the charts
    #[arg(long, default_value = "1s", value_parser = duration::parse, value_name = "TIME")]
    pub(super) interval: Duration,
    /// Print neither progress nor the result table
    #[arg(long)]
    pub(super) quiet: bool,
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write a header like 'name: value'")?;
    let name = HeaderName::try_from(name.trim()).map_err(|error| error.to_string())?;
    let value = HeaderValue::try_from(value.trim()).map_err(|error| error.to_string())?;
    Ok((name, value))
}

fn parse_protocol(text: &str) -> Result<Protocol, String> {
    match text {
        "auto" => Ok(Protocol::Auto),
        "1" | "1.1" => Ok(Protocol::Http1),
        "2" => Ok(Protocol::Http2),
        _ => Err("write auto, 1.1 or 2".into()),
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("a rate is a number above 0".into()),
    }
}
