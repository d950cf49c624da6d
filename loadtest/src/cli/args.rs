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
    /// API to call; by default told by the URL's path, else chat
    #[arg(long, value_enum)]
    pub(super) api: Option<Api>,
    /// Method; by default the API's, or GET without and POST with a body
    #[arg(short = 'm', long)]
    pub(super) method: Option<Method>,
    /// Header line, e.g. -H 'x-team: a'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Body template, or @FILE; {{prompt}} {{model}} {{max_tokens}} {{stream}} {{number}} are
    /// filled in, text escaped for JSON
    #[arg(short = 'd', long, value_name = "TEXT|@FILE")]
    pub(super) body: Option<String>,
    /// What fills {{model}}
    #[arg(long, default_value = "mock")]
    pub(super) model: String,
    /// What fills {{max_tokens}}
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub(super) max_tokens: u64,
    /// Ask for whole answers instead of streams
    #[arg(long)]
    pub(super) no_stream: bool,
    /// File of prompts, one per line: text, or JSON with a "prompt"
    #[arg(long, value_name = "FILE")]
    pub(super) prompt_file: Option<PathBuf>,
    /// Size of generated prompts: 500, 64k, 1m
    #[arg(long, default_value = "64", value_name = "BYTES", value_parser = parse_size)]
    pub(super) prompt_bytes: usize,
    /// How many different prompts are generated
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
    /// Protocol: auto takes HTTP/2 where TLS offers it; 2 on http:// is by prior knowledge
    #[arg(long, default_value = "auto", value_parser = parse_protocol, value_name = "auto|1.1|2")]
    pub(super) http: Protocol,
    /// Certificate authorities to trust instead of the platform's (PEM)
    #[arg(long, value_name = "FILE")]
    pub(super) cacert: Option<PathBuf>,
    /// A new connection for each request
    #[arg(long)]
    pub(super) cold: bool,
    /// Connections opened before the first request; by default as many as a closed loop's slots
    /// need, which the protocol decides, or as 16 requests at a time do in an open loop
    #[arg(long, value_name = "N")]
    pub(super) connections: Option<usize>,
    /// Most requests at a time on one HTTP/2 connection
    #[arg(long, default_value_t = STREAMS_PER_CONNECTION, value_name = "N")]
    pub(super) streams: usize,
    /// Take the kernel's receive stamp of each read (Linux), to show the client's own delay
    #[arg(long)]
    pub(super) kernel_stamps: bool,
    /// Bound on connecting, TLS included
    #[arg(long, default_value = "10s", value_parser = duration::parse, value_name = "TIME")]
    pub(super) connect_timeout: Duration,
}

/// When requests are sent.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Load")]
pub(super) struct LoadArgs {
    /// Open loop: requests per second, whatever the target does
    #[arg(short = 'q', long, value_name = "PER_SECOND", value_parser = parse_rate)]
    pub(super) rate: Option<f64>,
    /// Spacing of an open loop's requests
    #[arg(long, value_enum, default_value = "constant")]
    pub(super) arrivals: Arrivals,
    /// Closed loop: requests in flight (8 by default). With an open loop: the most in flight
    /// (10000 by default); one due while all are taken waits, and its wait counts
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) concurrency: Option<u32>,
    /// Pause between the requests of a slot
    #[arg(long, default_value = "0s", value_parser = duration::parse, value_name = "TIME")]
    pub(super) think: Duration,
    /// Slow readers: a share of the requests that takes so many bytes per second, or pauses after
    /// each read; 10%@16k/s, 5%@200ms. They are counted and checked, but in no latency
    #[arg(long, value_name = "SHARE@PACE")]
    pub(super) slow: Option<Slow>,
    /// Bound on one request, from its start to its end
    #[arg(long, default_value = "60s", value_parser = duration::parse, value_name = "TIME")]
    pub(super) timeout: Duration,
    /// Seed of arrivals, prompts, rotation and bootstrap
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Threads that send; each has connections of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: u16,
}

/// What a run must keep to.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Verdict")]
pub(super) struct VerdictArgs {
    /// Compare each stream with the SHA-256 that the mock upstream sends; fail on any difference,
    /// or if nothing could be compared
    #[arg(long)]
    pub(super) verify: bool,
    /// Goals of goodput: 'ttft:200ms tpot:30ms'
    #[arg(long, value_name = "GOALS", default_value = "")]
    pub(super) goodput: Goals,
    /// Fail (exit 1) if this holds: 'ttfb_p99>5ms', 'error_rate>1%', 'NAME:added_ttfb_p50>200us';
    /// may be repeated
    #[arg(long, value_name = "CONDITION")]
    pub(super) fail_if: Vec<Condition>,
    /// Void (exit 3) if the generator's own lag at p99 is over this
    #[arg(long, default_value = "5ms", value_parser = duration::parse, value_name = "TIME")]
    pub(super) max_lag: Duration,
    /// Void (exit 3) if a worker of an open loop waited longer than this share of time for a
    /// processor
    #[arg(long, default_value_t = Bounds::default().waiting, value_name = "SHARE")]
    pub(super) max_waiting: f64,
    /// Exit 0 although the run is void; it is still marked so
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
    /// Time between notes: of the live view, the interval log, the charts
    #[arg(long, default_value = "1s", value_parser = duration::parse, value_name = "TIME")]
    pub(super) interval: Duration,
    /// Show neither progress nor table
    #[arg(long)]
    pub(super) quiet: bool,
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header is like 'name: value'")?;
    let name = HeaderName::try_from(name.trim()).map_err(|error| error.to_string())?;
    let value = HeaderValue::try_from(value.trim()).map_err(|error| error.to_string())?;
    Ok((name, value))
}

fn parse_protocol(text: &str) -> Result<Protocol, String> {
    match text {
        "auto" => Ok(Protocol::Auto),
        "1" | "1.1" => Ok(Protocol::Http1),
        "2" => Ok(Protocol::Http2),
        _ => Err("auto, 1.1 or 2".into()),
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("a rate is a number over 0".into()),
    }
}
