//! Finds the commit that is built, for `--version`: git's where there is a clone, otherwise
//! `FIRSTBYTE_COMMIT` (for builds from an archive), otherwise `unknown`. Never fails a build.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the binary is made of; a change elsewhere does not make a build dirty.
const SOURCES: [&str; 5] = ["src", "loadtest", "Cargo.toml", "Cargo.lock", "build.rs"];

fn main() {
    println!("cargo::rerun-if-env-changed=FIRSTBYTE_COMMIT");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let given = || std::env::var("FIRSTBYTE_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = commit().or_else(given).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=FIRSTBYTE_COMMIT={commit}");
}

/// The commit of this package's own clone or worktree; `None` where an archive was unpacked,
/// also inside somebody else's repository.
fn commit() -> Option<String> {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from)?.canonicalize().ok()?;
    let top = Path::new(&git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()?;
    if top != here {
        return None;
    }
    watch();
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let status = ["--no-optional-locks", "status", "--porcelain", "--"];
    let changes = git(&[&status[..], &SOURCES[..]].concat())?;
    let dirty = if changes.is_empty() { "" } else { "-dirty" };
    Some(format!("{commit}{dirty}"))
}

/// Rebuilds where another commit is checked out or made. git names the files, since a worktree
/// keeps them elsewhere; only those that exist, since a missing one would rebuild always.
fn watch() {
    let branch = git(&["symbolic-ref", "-q", "HEAD"]);
    let files = ["HEAD", "logs/HEAD", "packed-refs"].map(String::from).into_iter().chain(branch);
    for file in files.filter_map(|file| git(&["rev-parse", "--git-path", &file])) {
        if Path::new(&file).exists() {
            println!("cargo::rerun-if-changed={file}");
        }
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}
