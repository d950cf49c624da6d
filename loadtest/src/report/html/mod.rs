//! The report as one self-contained page: no request leaves it, no library is needed.

use std::io::{self, Write};

use super::model::Report;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPTS: [&str; 3] =
    [include_str!("base.js"), include_str!("charts.js"), include_str!("page.js")];

/// Writes the page.
pub(super) fn write(report: &Report, mut out: impl Write) -> io::Result<()> {
    // Inside a script element only `</` and `<!` mean anything to the HTML parser.
    let data = serde_json::to_string(report)?.replace('<', "\\u003c");
    let mut rest = PAGE;
    for (place, part) in
        [("{{style}}", STYLE), ("{{report}}", data.as_str()), ("{{script}}", &SCRIPTS.concat())]
    {
        let (before, after) = rest.split_once(place).unwrap_or((rest, ""));
        out.write_all(before.as_bytes())?;
        out.write_all(part.as_bytes())?;
        rest = after;
    }
    out.write_all(rest.as_bytes())
}
