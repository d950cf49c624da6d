//! A configuration is read from text and a made-up world; nothing here touches the process's own.

mod adapt;
mod bounds;
mod changes;
mod clashes;
mod clients;
mod events;
mod groups;
mod meaning;
mod models;
mod no_file;
mod reach;
mod resume;
mod secrecy;
mod sharing;
mod shipped;
mod text;
mod values;

use std::collections::HashMap;
use std::env::VarError;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::{Config, Env, Faults, parse};

/// Variables and files that exist only in a test.
#[derive(Default)]
struct World {
    variables: HashMap<String, OsString>,
    files: HashMap<PathBuf, Vec<u8>>,
}

impl World {
    fn var(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    fn file(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), bytes.into());
        self
    }

    fn read(&self, text: &str) -> Result<Config, Faults> {
        parse(Path::new("/etc/f.yaml"), text.as_bytes(), self)
    }

    /// Each fault as it is printed.
    fn faults(&self, text: &str) -> Vec<String> {
        self.read(text).unwrap_err().iter().map(ToString::to_string).collect()
    }
}

impl Env for World {
    fn var(&self, name: &str) -> Result<String, VarError> {
        let value = self.variables.get(name).cloned().ok_or(VarError::NotPresent)?;
        value.into_string().map_err(VarError::NotUnicode)
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// The least that is a configuration, with room for more: lines at the root, and lines of the
/// upstream (indented by four), which begin at line 4.
fn least(root: &str, upstream: &str) -> String {
    format!(
        "upstreams:\n  api:\n    url: https://api.test/v1\n{upstream}\
         routes:\n  - path: /v1\n    upstream: api\n{root}"
    )
}
