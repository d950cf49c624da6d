//! Somebody else's programs, as the machine has them (`.ci/run` installs them).

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where `name` is. `None`, said past the test harness, where it is not: then something is not tested.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/bin");
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/usr/local/sbin", tools]);
    let found = folders.map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    if found.is_none() {
        let _ = writeln!(
            io::stderr(),
            "\n!! SKIPPED: {name} is not installed, so firstbyte was NOT tested with it"
        );
    }
    found
}
