//! `loadtest soak` with stand-ins for the proxy: what it must not let pass.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    path
}

/// A soak of a second with a stand-in for the proxy, which the shell starts.
fn soak(name: &str, stand_in: &str) -> (Output, PathBuf) {
    let out = folder(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(["soak", "--for", "1s", "-c", "4", "--out"]).arg(&out);
    let output = command.args(["--", "sh", "-c", stand_in]).output().unwrap();
    (output, out)
}

#[test]
fn a_proxy_that_ends_at_once_is_told_and_not_judged() {
    let (output, _) = soak("soak-ends", "exit 3");
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("exit status: 3"), "{output:?}");
}

/// An upstream of ours stands in for a proxy: it answers every request by itself, so that nothing that is asked to break
/// does, and has no metrics.
#[test]
fn one_that_makes_every_answer_whole_fails_and_the_report_says_why() {
    let own = env!("CARGO_BIN_EXE_loadtest");
    let script = r#"[{"head": {"status": 200}}, "finish"]"#;
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("soak-finish.json");
    fs::write(&file, script).unwrap();
    let stand_in = format!(
        "echo 'a thread panicked' >&2; exec {own} upstream --listen $SOAK_LISTEN --script {}",
        file.display()
    );
    let (output, out) = soak("soak-whole", &stand_in);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = fs::read_to_string(out.join("soak.md")).unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("soak.json")).unwrap()).unwrap();
    let reasons = json["reasons"].to_string();
    for why in [
        "requests had a wrong result",
        "samples are too few for a trend",
        "/metrics has no",
        "panic",
    ] {
        assert!(reasons.contains(why), "{why}: {reasons}");
    }
    assert!(!reasons.contains("exit"), "SIGTERM ended it with 0: {reasons}");
    assert!(report.starts_with("# Soak: FAIL") && report.contains("no digest arrived"), "{report}");
    assert!(fs::read_to_string(out.join("proxy.log")).unwrap().contains("panicked"));
}
