//! What a run came to, in every form.

/// From the totals to the report.
mod build;
/// Comma-separated values.
mod csv;
/// HdrHistogram's own formats.
mod hdr;
/// One self-contained page.
mod html;
/// One JSON object per request.
mod jsonl;
/// The report as data.
mod model;
/// Files that are written while the run goes on, and those written at its end.
pub mod output;
/// The report as text.
mod table;

pub use build::{About, target_report};
pub use model::*;
pub use table::text;
