//! `firstbyte check --connect`: every upstream is connected to and asked for its models, by the code that
//! requests use, and the result is a table.

mod table;

use std::error::Error as StdError;
use std::io::{self, Write};
use std::time::Duration;

use http::StatusCode;

use crate::config::Config;
use crate::error::{Error, Kind};
use crate::proxy::Tried;
use crate::runtime::{self, StartError};
use table::table;

const HEAD: [&str; 6] = ["upstream", "address", "dns", "tcp", "handshake", "result"];

/// Tries every upstream and prints a table of what came of it; whether all would serve.
///
/// # Errors
/// The configuration cannot be started with, or the table cannot be written.
pub fn connect(config: &Config, out: &mut dyn Write) -> Result<bool, Box<dyn StdError>> {
    let tried = runtime::try_out(config.clone()).map_err(|error: StartError| Box::new(error))?;
    let mut rows = vec![HEAD.map(str::to_owned)];
    let mut all_well = true;
    for (name, tried) in &tried {
        let (is_well, verdict) = verdict(tried);
        all_well &= is_well;
        rows.push(row(name, tried, verdict));
    }
    write_all(out, &table(&rows))?;
    Ok(all_well)
}

fn write_all(out: &mut dyn Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn row(name: &str, tried: &Tried, verdict: String) -> [String; 6] {
    let none = || "-".to_owned();
    let Ok(trial) = &tried.reached else {
        return [name.to_owned(), none(), none(), none(), none(), verdict];
    };
    let address = trial.peer.map_or_else(|| "Unix socket".to_owned(), |peer| peer.to_string());
    [name.to_owned(), address, ms(trial.dns), ms(trial.tcp), ms(trial.handshake), verdict]
}

/// Whether requests would be served, and what to say of it.
fn verdict(tried: &Tried) -> (bool, String) {
    let path = &tried.path;
    let protocol = tried.reached.as_ref().ok().map(|trial| match trial.version {
        http::Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    });
    let protocol = protocol.unwrap_or_default();
    match (&tried.reached, &tried.answered) {
        (Err(error), _) => (false, format!("{} failed: {}", step(error.kind()), cause(error))),
        (Ok(_), Some(Ok((status, took)))) => {
            let (is_well, remark) = of_status(*status);
            let took = ms(*took);
            (is_well, format!("{protocol}, GET {path}: {} in {took}{remark}", status.as_u16()))
        }
        (Ok(_), Some(Err(error))) => {
            (false, format!("{protocol}, GET {path} failed: {}", cause(error)))
        }
        (Ok(_), None) => (true, protocol.to_owned()),
    }
}

/// The step that a connect did not get beyond.
fn step(kind: Kind) -> &'static str {
    match kind {
        Kind::Dns => "DNS",
        Kind::Tls => "TLS",
        Kind::UpstreamHandshake => "HTTP",
        Kind::ConnectTimeout => "connect",
        _ => "TCP",
    }
}

fn of_status(status: StatusCode) -> (bool, &'static str) {
    match status.as_u16() {
        401 | 403 => (false, "; it rejects the key: check `key`"),
        404 | 405 => {
            (true, "; it lists no models there: check the path in `url` if requests fail too")
        }
        300..=399 => (true, "; it redirects: check `url`"),
        500..=599 => (false, "; it is reached and fails"),
        _ => (true, ""),
    }
}

/// Why, in one word for machines and in what was found.
fn cause(error: &Error) -> String {
    let found = error.found().unwrap_or_else(|| error.message().to_owned());
    match error.cause() {
        Some(cause) => format!("{}: {found}", cause.word()),
        None => found,
    }
}

fn ms(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}
