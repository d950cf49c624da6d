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

#[cfg(test)]
mod tests {
    use super::super::model::tests::report;
    use super::*;

    #[test]
    fn the_page_holds_the_report_and_asks_nobody_for_anything() {
        let mut page = Vec::new();
        write(&report("</script><img src=http://evil>"), &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(!page.contains("{{") && !page.contains("<img"), "the data stays data");
        assert!(page.contains(r"\u003c/script>\u003cimg"));
        let without_data = [PAGE, STYLE, &SCRIPTS.concat()].concat();
        let urls = without_data.matches("http").count();
        assert_eq!(urls, without_data.matches("'http://www.w3.org/2000/svg'").count());
    }
}
