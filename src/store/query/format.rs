//! An answer as a table, JSON or CSV.

use serde_json::{Map, Value, json};

use super::Format;
use super::report::Report;
use crate::store::cells::Cells;

const NANO: u64 = 1_000_000_000;

/// What is counted, in the order of [`Cells::fields`], as its columns are called.
const COUNTED: [&str; 6] = ["requests", "input", "cached", "output", "cost_usd", "estimated"];
/// Which of them is money.
const COST: usize = 4;

impl Report {
    /// In the question's format; ends with a line break.
    pub fn text(&self) -> String {
        match self.query.format {
            Format::Table => table(self),
            Format::Json => json(self),
            Format::Csv => csv(self),
        }
    }
}

/// Dollars with the digits that they need, at least two after the point: nothing is rounded.
fn usd(nanos: u64) -> String {
    let digits = format!("{:09}", nanos % NANO);
    let needed = digits.trim_end_matches('0').len().max(2);
    format!("{}.{}", nanos / NANO, digits.get(..needed).unwrap_or(&digits))
}

fn counted(cells: Cells) -> impl Iterator<Item = String> {
    let fields = cells.fields().into_iter().enumerate();
    fields.map(|(nth, number)| if nth == COST { usd(number) } else { number.to_string() })
}

fn names(report: &Report) -> Vec<String> {
    let by = report.query.by.iter().map(|by| by.word());
    by.chain(COUNTED).map(str::to_owned).collect()
}

fn rows(report: &Report) -> impl Iterator<Item = Vec<String>> {
    report.rows.iter().map(|(by, cells)| by.iter().cloned().chain(counted(*cells)).collect())
}

/// Words to the left, numbers to the right; all together in the last line.
fn table(report: &Report) -> String {
    let words = report.query.by.len();
    let mut total: Vec<String> = vec![String::new(); words];
    if let Some(first) = total.first_mut() {
        "total".clone_into(first);
    }
    total.extend(counted(report.total));
    let mut lines = vec![names(report)];
    lines.extend(rows(report));
    lines.push(total);
    let mut widths = vec![0; words + COUNTED.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let mut padded = String::new();
        for (nth, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            let (before, after) = if nth < words { ("", &*gap) } else { (&*gap, "") };
            let between = if nth == 0 { "" } else { "  " };
            padded.extend([between, before, cell, after]);
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
    text
}

/// Money as a number, and to the nanodollar beside it.
fn object(cells: Cells) -> Map<String, Value> {
    let mut object = Map::new();
    for (nth, (name, number)) in COUNTED.into_iter().zip(cells.fields()).enumerate() {
        if nth == COST {
            object.insert(name.to_owned(), json!(number as f64 / NANO as f64));
            object.insert("cost_nano_usd".to_owned(), json!(number));
        } else {
            object.insert(name.to_owned(), json!(number));
        }
    }
    object
}

fn json(report: &Report) -> String {
    let by: Vec<_> = report.query.by.iter().map(|by| by.word()).collect();
    let row = |(columns, cells): (&Vec<String>, &Cells)| {
        let names = by.iter().map(|name| (*name).to_owned());
        let mut row: Map<_, _> = names.zip(columns.iter().map(|cell| json!(cell))).collect();
        row.extend(object(*cells));
        Value::Object(row)
    };
    let page = json!({
        "since": report.query.since.to_string(),
        "until": report.query.until.to_string(),
        "by": by,
        "rows": report.rows.iter().map(row).collect::<Vec<_>>(),
        "total": object(report.total),
    });
    format!("{page}\n")
}

/// RFC 4180, with a header and without a total, which a reader would count twice.
fn csv(report: &Report) -> String {
    let mut text = String::new();
    for line in std::iter::once(names(report)).chain(rows(report)) {
        let cells: Vec<_> = line.iter().map(|cell| quoted(cell)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}
