//! `loadtest upstream`: the mock as a server of its own.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::log::{Log, RequestSeen};
use super::script::Script;
use super::script::step::Step;
use super::{Builder, Standard, Upstream};
use crate::duration;

/// Serves scripted OpenAI-compatible responses until interrupted.
///
/// Without a script it responds like OpenAI: chat completions, responses, completions, embeddings,
/// models, files and transcriptions. A request can set its own pace with the headers x-mock-tokens,
/// x-mock-first-ms, x-mock-gap-us and x-mock-frame-bytes, or request a fault with x-mock-script.
#[derive(clap::Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// Address to listen on; port 0 chooses a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9443")]
    listen: SocketAddr,
    /// Use TLS, with a certificate for localhost generated at startup (see --ca-out)
    #[arg(long)]
    tls: bool,
    /// Use only HTTP/2; without TLS, with prior knowledge
    #[arg(long, conflicts_with = "http1")]
    http2: bool,
    /// Use only HTTP/1.1
    #[arg(long)]
    http1: bool,
    /// Number of tokens in a standard response
    #[arg(long, value_name = "N", default_value_t = 16)]
    tokens: u64,
    /// Time from the request to the response head, such as 20ms
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = duration::parse)]
    first: Duration,
    /// Time between two tokens, such as 10ms; 0 sends them back to back
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = duration::parse)]
    gap: Duration,
    /// Size of one frame of a standard stream; 0 means as small as an event allows
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    frame_bytes: usize,
    /// Number of events that are sent together in one DATA frame or chunk
    #[arg(long, value_name = "N", default_value_t = 1)]
    pack: usize,
    /// HTTP/2: maximum number of concurrent streams per connection
    #[arg(long, value_name = "N")]
    stream_limit: Option<u32>,
    /// Close each connection gracefully after this many requests, with GOAWAY or `connection:
    /// close`
    #[arg(long, value_name = "N")]
    goaway_every: Option<u64>,
    /// Send the GOAWAY without warning, as nginx does: requests that cross it are lost
    #[arg(long, requires = "goaway_every")]
    goaway_abruptly: bool,
    /// Respond to every request except GET /health with this JSON script
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Do not hash bodies; for tests at maximum load
    #[arg(long)]
    no_hash: bool,
    /// Print a line for each request as it ends
    #[arg(long)]
    log: bool,
    /// Pin to this CPU, counted from 0
    #[arg(long, value_name = "CPU")]
    pin: Option<usize>,
    /// Write the certificate authority to this file (PEM)
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_out: Option<PathBuf>,
}

/// Serves until SIGINT or SIGTERM. Fails if the address is taken or a file cannot be read or written.
pub async fn run(args: Args) -> io::Result<()> {
    let upstream = builder(&args)?.start()?;
    if let Some(path) = &args.ca_out {
        upstream.write_ca(path)?;
    }
    let mut out = io::stdout();
    writeln!(out, "upstream listening on {}", upstream.url())?;
    out.flush()?;
    tokio::select! {
        stopped = stop_signal() => stopped,
        printed = print_requests(&upstream), if args.log => printed,
    }
}

/// The upstream that the arguments describe.
fn builder(args: &Args) -> io::Result<Builder> {
    let standard = Standard {
        first_after: args.first,
        every: args.gap,
        tokens: args.tokens,
        frame_bytes: args.frame_bytes,
        pack: args.pack,
    };
    let mut builder = Upstream::builder()
        .bind(args.listen)
        .standard(standard.clone())
        .hash(!args.no_hash)
        .log(args.log);
    builder = if args.tls { builder.tls() } else { builder.clear() };
    builder = match (args.http1, args.http2) {
        (true, _) => builder.http1(),
        (_, true) => builder.http2(),
        _ => builder.alpn_both(),
    };
    if let Some(limit) = args.stream_limit {
        builder = builder.stream_limit(limit);
    }
    builder = match args.goaway_every {
        Some(requests) if args.goaway_abruptly => builder.goaway_abruptly_every(requests),
        Some(requests) => builder.goaway_every(requests),
        None => builder,
    };
    if let Some(cpu) = args.pin {
        builder = builder.pin(cpu);
    }
    let Some(path) = &args.script else { return Ok(builder) };
    let script = read(path)?;
    let early = script.begins_at_head();
    let decide = move |seen: &super::Seen| {
        if seen.path_only() == "/health" { standard.answer(seen) } else { script.clone() }
    };
    Ok(if early { builder.respond_early(decide) } else { builder.respond(decide) })
}

fn read(path: &Path) -> io::Result<Script> {
    let text = std::fs::read_to_string(path)?;
    parse(&text).map_err(|why| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()))
    })
}

/// Reads a script: a list of steps, or an object with `steps` and the switches of [`Script`]. The error names line
/// and column.
pub fn parse(text: &str) -> Result<Script, serde_json::Error> {
    if text.trim_start().starts_with('[') {
        let steps: Vec<Step> = serde_json::from_str(text)?;
        return Ok(Script { steps, ..Script::default() });
    }
    serde_json::from_str(text)
}

async fn stop_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

/// Prints requests as they end, in the order in which they began. The log's bound is its bound.
async fn print_requests(upstream: &Upstream) -> io::Result<()> {
    let mut printed = 0;
    loop {
        let next = |log: &Log| log.requests.get(printed).is_some_and(|seen| seen.end.is_some());
        let forever = Duration::from_secs(u64::from(u32::MAX));
        if !upstream.seen(next, forever).await {
            return Ok(());
        }
        let log = upstream.log();
        let ended = log.requests.iter().skip(printed).take_while(|seen| seen.end.is_some());
        for seen in ended {
            writeln!(io::stdout(), "{}", line(seen))?;
            printed += 1;
        }
    }
}

fn line(seen: &RequestSeen) -> String {
    let took = seen.end_ns.unwrap_or(seen.head_ns).saturating_sub(seen.head_ns);
    let end = seen.end.as_ref().map(|end| format!("{end:?}")).unwrap_or_default();
    format!(
        "{} {} connection={} body={} frames={} bytes={} ms={:.3} {end}",
        seen.method,
        seen.path,
        seen.connection,
        seen.body_len,
        seen.frames,
        seen.bytes,
        took as f64 / 1e6,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Cut, Goaway};

    #[test]
    fn every_step_can_be_written_in_a_file() {
        let text = r#"{"early": true, "steps": [
            {"wait": "20ms"}, "await_body", {"informational": {"status": 103}},
            {"head": {"status": 200, "headers": [["content-type", "text/event-stream"]]}},
            {"tokens": {"count": 50, "every": "10ms", "bytes": 300}},
            {"body": ": ping\n"}, {"filler": 1000}, "echo", "echo_sha256", {"wire": "raw"}, {"empty_frames": 3},
            {"error_event": {"message": "m", "type": "server_error"}}, {"trailers": [["a", "b"]]},
            "done", "finish", "finish_separately", "stall", {"cut": "mid_frame"}, {"reset": 8}, "refuse",
            {"goaway": "below_this"}]}"#;
        let script = parse(text).unwrap();
        assert_eq!(script.steps.len(), 21);
        assert!(script.early);
        assert_eq!(script.steps[17], Step::Cut(Cut::MidFrame));
        assert_eq!(script.steps[20], Step::Goaway(Goaway::BelowThis));
        let again = parse(&serde_json::to_string(&script).unwrap()).unwrap();
        assert_eq!(again, script);
        assert_eq!(parse(r#"["finish"]"#).unwrap().steps, [Step::Finish]);
    }

    #[test]
    fn a_fault_in_a_file_is_named_with_its_place() {
        let error = parse("[\"finish\",\n  \"finsh\"]").unwrap_err();
        assert_eq!(error.line(), 2);
        assert!(error.to_string().contains("finsh"));
        assert!(parse(r#"{"step": []}"#).unwrap_err().to_string().contains("unknown field"));
    }
}
