//! Prometheus' text exposition format, version 0.0.4: `# HELP`, `# TYPE`, one sample a line.

use std::fmt::{Display, Write};

use crate::record::collect::durations::Durations;

/// What a metric's number may do.
#[derive(Clone, Copy)]
pub(in crate::record) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A page under construction.
#[derive(Default)]
pub(in crate::record) struct Text(String);

impl Text {
    /// Announces a metric; all its samples follow before the next one is announced.
    pub(in crate::record) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// One sample; label values may be any text.
    pub(in crate::record) fn sample(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        value: impl Display,
    ) {
        self.name(name, labels, None);
        self.line(format_args!(" {value}\n"));
    }

    /// A metric of one sample without labels.
    pub(in crate::record) fn single(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        value: impl Display,
    ) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// A distribution's buckets, sum and count, in seconds; `bounds_ns` ascending.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        values: &Durations,
        bounds_ns: &[u64],
    ) {
        let bucket = format!("{name}_bucket");
        for (bound, count) in bounds_ns.iter().zip(values.cumulative(bounds_ns)) {
            let bound = (*bound as f64 / 1e9).to_string();
            self.name(&bucket, labels, Some(&bound));
            self.line(format_args!(" {count}\n"));
        }
        self.name(&bucket, labels, Some("+Inf"));
        self.line(format_args!(" {}\n", values.count()));
        self.sample(&format!("{name}_sum"), labels, values.sum_seconds());
        self.sample(&format!("{name}_count"), labels, values.count());
    }

    pub(in crate::record) fn into_string(self) -> String {
        self.0
    }

    fn name(&mut self, name: &str, labels: &[(&str, &str)], le: Option<&str>) {
        self.0.push_str(name);
        let mut opening = '{';
        let bound = le.map(|le| ("le", le));
        for (label, value) in labels.iter().copied().chain(bound) {
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            self.line(format_args!("{opening}{label}=\"{value}\""));
            opening = ',';
        }
        if opening == ',' {
            self.0.push('}');
        }
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = self.0.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn hostile_label_values_stay_inside_their_quotes() {
        let mut text = Text::default();
        text.sample("m", &[("route", "/a\"}\n evil 1"), ("upstream", r"b\")], 1);
        assert_eq!(text.into_string(), "m{route=\"/a\\\"}\\n evil 1\",upstream=\"b\\\\\"} 1\n");
    }

    #[test]
    fn a_histogram_ends_with_its_count_as_the_infinite_bucket() {
        let mut values = Durations::default();
        values.record(Duration::from_micros(20));
        values.record(Duration::from_secs(2));
        let mut text = Text::default();
        text.histogram("m_seconds", &[], &values, &[10_000, 25_000]);
        assert_eq!(
            text.into_string(),
            "m_seconds_bucket{le=\"0.00001\"} 0\nm_seconds_bucket{le=\"0.000025\"} 1\n\
             m_seconds_bucket{le=\"+Inf\"} 2\nm_seconds_sum 2.00002\nm_seconds_count 2\n"
        );
    }
}
