//! What people see in a browser: Debian's Chromium, driven through Playwright's library.
//!
//! `drive.mjs` has what is done in it, `install` fetches the library. Without them, or without a registry, that is said
//! and nothing here runs.

/// Comments of the proxy's own, and what `EventSource` makes of them.
mod heartbeats;
/// The page of `firstbyte demo --keep`, which `docs/page` has too.
mod page;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// `install` ends with this where there is nothing to drive.
const NOTHING_TO_DRIVE: i32 = 75;

/// What a case of `drive.mjs` saw at `url`; `None` where no browser can be driven, which has been said. Nothing may go
/// wrong in the page, and it may talk to nobody but `origin`.
fn drive(case: &str, origin: &str, url: &str) -> Option<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let install = Command::new(root.join("tests/browser/install"))
        .stdin(Stdio::null())
        .output()
        .expect("tests/browser/install runs");
    let told = String::from_utf8_lossy(&install.stderr);
    if install.status.code() == Some(NOTHING_TO_DRIVE) {
        // Past the harness, which keeps the output of a test that passes.
        let _ = writeln!(std::io::stderr(), "\n{told}");
        return None;
    }
    assert!(install.status.success(), "tests/browser/install: {told}");
    let output = Command::new(String::from_utf8_lossy(&install.stdout).trim())
        .arg(root.join("tests/browser/drive.mjs"))
        .args([case, url])
        .env("PLAYWRIGHT", root.join(".sdk/browser/library.js"))
        .output()
        .expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{case}: {said}{stderr}");
    let saw: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{stderr}"));
    assert_eq!(saw["faults"], serde_json::json!([]), "{case}");
    assert_eq!(saw["origins"], serde_json::json!([origin]), "{case}: it talks to others");
    Some(saw["seen"].clone())
}
