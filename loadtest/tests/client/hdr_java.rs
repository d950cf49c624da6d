//! The interval log, read by the public Java tool: `HistogramLogProcessor` of the makers of the format.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use loadtest::upstream::Upstream;

/// Where Debian's libhdrhistogram-java puts it.
const JAR: &str = "/usr/share/java/hdrhistogram.jar";

/// What the processor says of one tag, in nanoseconds; `None` if there is no Java or no tool.
fn processed(log: &Path, tag: &str) -> Option<String> {
    if !Path::new(JAR).exists() {
        return None;
    }
    let mut java = Command::new("java");
    java.args(["-cp", JAR, "org.HdrHistogram.HistogramLogProcessor", "-i"]).arg(log);
    let output = java.args(["-tag", tag, "-outputValueUnitRatio", "1"]).output().ok()?;
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The number behind `name`, as in `Max     =  488191.000`.
fn field(summary: &str, name: &str) -> f64 {
    let after = summary.rsplit_once(name).unwrap_or_else(|| panic!("{name} in {summary}")).1;
    let number = after.trim_start_matches([' ', '=']);
    number.split([',', ']', ' ']).next().unwrap().parse().unwrap()
}

#[test]
fn the_public_java_tool_reads_of_our_interval_log_what_our_report_says() {
    let mock = Upstream::builder().clear().http1().tokens(4);
    let mock = mock.token_every(Duration::from_millis(1)).start().unwrap();
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("java.hlog");
    let mut run = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    run.args(["run", &mock.url(), "-q", "100", "-n", "60", "--interval", "200ms", "--quiet"]);
    let output = run.args(["--allow-void", "--json", "-", "--hlog"]).arg(&log).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut read = 0;
    for measure in report["targets"][0]["measures"].as_array().unwrap() {
        let name = measure["name"].as_str().unwrap();
        if !["ttfb", "ttft", "gap", "total"].contains(&name) {
            continue;
        }
        let Some(summary) = processed(&log, &format!("target/{name}")) else {
            eprintln!(
                "\n!! SKIPPED: no java, or no {JAR} (Debian: apt-get install default-jre-headless \
                 libhdrhistogram-java): HISTOGRAM LOGS WERE NOT READ BY THE PUBLIC TOOL"
            );
            return;
        };
        let counts = |value: f64| value.round() as u64;
        let told = |statistic: &str| measure[statistic].as_u64().unwrap();
        assert_eq!(counts(field(&summary, "Total count")), told("count"), "{name}");
        // Both print the largest value that counts as the same as the one recorded.
        assert_eq!(counts(field(&summary, "Max ")), told("max"), "{name}");
        let (theirs, ours) = (field(&summary, "Mean "), measure["mean"].as_f64().unwrap());
        assert!((theirs - ours).abs() <= 1.0, "{name}: {theirs} against {ours}");
        read += 1;
    }
    assert_eq!(read, 4);
}
