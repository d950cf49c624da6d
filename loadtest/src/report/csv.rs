//! The report as comma-separated values: one line per target, measure and statistic set.

use std::io::{self, Write};

use super::build::QUANTILES;
use super::model::Report;

/// Writes one line per target and measure, times in nanoseconds; a statistic that the run has too
/// few values for is left empty.
pub(super) fn write(report: &Report, mut out: impl Write) -> io::Result<()> {
    write!(out, "target,measure,count,mean,stdev,min")?;
    for (name, _) in QUANTILES {
        write!(out, ",{name}")?;
    }
    writeln!(out, ",max")?;
    for target in &report.targets {
        for measure in &target.measures {
            let (mean, stdev) = (measure.mean, measure.stdev);
            write!(out, "{},{},{},", quoted(&target.name), measure.name, measure.count)?;
            write!(out, "{mean:.0},{stdev:.0},{}", measure.min)?;
            for (name, _) in QUANTILES {
                let value = measure.quantiles.get(name).map(ToString::to_string);
                write!(out, ",{}", value.unwrap_or_default())?;
            }
            writeln!(out, ",{}", measure.max)?;
        }
    }
    Ok(())
}

/// As RFC 4180 has it, where the text needs it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_comma_stays_one_field() {
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("proxy"), "proxy");
    }
}
