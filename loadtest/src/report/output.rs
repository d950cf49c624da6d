//! Files that are written while the run goes on, and those written at its end.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::client::Mono;
use crate::measure::{Account, Interval, Measure};

use super::model::Report;
use super::{csv, hdr, html, jsonl};

/// Which files to write; `-` is standard output.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Output")]
#[expect(clippy::doc_markdown, reason = "the comments are the help's text")]
pub struct Files {
    /// Write the complete report as JSON (schema: loadtest/schema/report.schema.json); - for
    /// standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write one line per target and measure as comma-separated values; - for standard output
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write one JSON object per request when it ends; - for standard output
    #[arg(long, value_name = "FILE")]
    pub jsonl: Option<PathBuf>,
    /// Write a self-contained HTML page with charts
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write HdrHistogram percentile distributions in ms: DIR/TARGET.MEASURE.hgrm
    #[arg(long, value_name = "DIR")]
    pub hgrm: Option<PathBuf>,
    /// Write an HdrHistogram V2 interval log in ns, tagged TARGET/MEASURE
    #[arg(long, value_name = "FILE")]
    pub hlog: Option<PathBuf>,
}

/// A file that could not be written.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    source: io::Error,
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for FileError {}

/// The files written while the run goes on.
pub struct Journal {
    jsonl: Option<Sink>,
    hlog: Option<Sink>,
    names: Vec<String>,
    begin: Mono,
}

impl Journal {
    /// Opens them, so that a path that cannot be written is known before the run.
    pub fn open(files: &Files, names: Vec<String>, command: &str) -> Result<Self, FileError> {
        let jsonl = files.jsonl.as_deref().map(Sink::open).transpose()?;
        let mut hlog = files.hlog.as_deref().map(Sink::open).transpose()?;
        if let Some(hlog) = &mut hlog {
            hlog.write(|out| hdr::begin_log(out, SystemTime::now(), command))?;
        }
        Ok(Self { jsonl, hlog, names, begin: Mono::now() })
    }

    /// Enters what a worker noted.
    pub fn add(&mut self, interval: &Interval) -> Result<(), FileError> {
        let name = self.names.get(interval.target).map_or("target", String::as_str);
        if let Some(sink) = &mut self.jsonl {
            sink.write(|out| jsonl::write(interval, name, out))?;
        }
        if let Some(sink) = &mut self.hlog {
            sink.write(|out| hdr::log_interval(interval, name, self.begin, out))?;
        }
        Ok(())
    }

    /// Writes what is still buffered.
    pub fn close(self) -> Result<(), FileError> {
        for mut sink in [self.jsonl, self.hlog].into_iter().flatten() {
            sink.write(|out| out.flush())?;
        }
        Ok(())
    }
}

/// Writes the files that show the whole run.
pub fn write(files: &Files, report: &Report, accounts: &[Account]) -> Result<(), FileError> {
    if let Some(path) = &files.json {
        whole(path, |out| {
            serde_json::to_writer_pretty(&mut *out, report)?;
            out.write_all(b"\n")
        })?;
    }
    if let Some(path) = &files.csv {
        whole(path, |out| csv::write(report, out))?;
    }
    if let Some(path) = &files.html {
        whole(path, |out| html::write(report, out))?;
    }
    if let Some(directory) = &files.hgrm {
        let created = std::fs::create_dir_all(directory);
        created.map_err(|source| FileError { path: directory.clone(), source })?;
        for (target, account) in report.targets.iter().zip(accounts) {
            for measure in Measure::ALL {
                let histogram = account.tally.histogram(measure);
                if !histogram.is_empty() {
                    let name = target.name.replace(std::path::is_separator, "_");
                    let path = directory.join(format!("{name}.{}.hgrm", measure.name()));
                    whole(&path, |out| hdr::write_hgrm(histogram, out))?;
                }
            }
        }
    }
    Ok(())
}

fn whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let mut sink = Sink::open(path)?;
    sink.write(|out| {
        write(out)?;
        out.flush()
    })
}

/// A file or standard output, and its name for errors.
struct Sink {
    path: PathBuf,
    out: Box<dyn Write>,
}

impl Sink {
    fn open(path: &Path) -> Result<Self, FileError> {
        let out: Box<dyn Write> = if path == Path::new("-") {
            Box::new(BufWriter::new(io::stdout()))
        } else {
            let file =
                File::create(path).map_err(|source| FileError { path: path.to_owned(), source })?;
            Box::new(BufWriter::with_capacity(1 << 20, file))
        };
        Ok(Self { path: path.to_owned(), out })
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let path = &self.path;
        write(self.out.as_mut()).map_err(|source| FileError { path: path.clone(), source })
    }
}
