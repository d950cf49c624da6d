//! A configuration file read for a process that goes on watching it.

use std::cell::RefCell;
use std::env::VarError;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::load;
use crate::config::change::check;
use crate::config::file::env::Env;
use crate::config::file::fault::Faults;
use crate::config::file::stamp::Stamp;
use crate::config::root::Config;

/// A configuration and where it came from. Not `Debug`: the text may hold a key that somebody wrote into it.
#[derive(Clone)]
pub struct Read {
    /// The file.
    pub path: PathBuf,
    /// As meant.
    pub config: Config,
    /// Every file that was read for it: itself, keys, certificates; each as it was just before.
    pub files: Vec<(PathBuf, Stamp)>,
    /// The beginning of the file's SHA-256, in hex: the same for the same text. Of the text as it is
    /// written, so that no secret that it refers to goes into it.
    pub digest: String,
    text: String,
}

/// As [`load`], with what else there is to know of the file.
///
/// # Errors
/// As for [`load`].
pub fn read(path: &Path, env: &dyn Env) -> Result<Read, Faults> {
    let noting = Noting { env, files: RefCell::default(), text: RefCell::default() };
    let config = load(path, &noting)?;
    let text = noting.text.take().unwrap_or_default();
    let digest = Sha256::digest(&text);
    Ok(Read {
        path: path.to_owned(),
        config,
        files: noting.files.into_inner(),
        digest: hex(&digest, 6),
        text: String::from_utf8_lossy(&text).into_owned(),
    })
}

/// The first bytes in hex.
fn hex(bytes: &[u8], count: usize) -> String {
    let mut text = String::with_capacity(count * 2);
    for byte in bytes.iter().take(count) {
        let _ = write!(text, "{byte:02x}"); // a String takes all
    }
    text
}

/// As [`read`], for a process that runs with `before`.
///
/// # Errors
/// As for [`read`], and each key that cannot be changed while it runs.
pub fn reread(path: &Path, env: &dyn Env, before: &Config) -> Result<Read, Faults> {
    let read = read(path, env)?;
    check(before, &read.config, &path.display().to_string(), &read.text)?;
    Ok(read)
}

/// The environment, and what was asked of it.
struct Noting<'a> {
    env: &'a dyn Env,
    files: RefCell<Vec<(PathBuf, Stamp)>>,
    /// Of the first file, which is the configuration.
    text: RefCell<Option<Vec<u8>>>,
}

impl Env for Noting<'_> {
    fn var(&self, name: &str) -> Result<String, VarError> {
        self.env.var(name)
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let stamp = Stamp::of_all(path, vec![path.to_owned()])?;
        self.files.borrow_mut().extend(stamp.into_iter().map(|stamp| (path.to_owned(), stamp)));
        let bytes = self.env.read_file(path)?;
        self.text.borrow_mut().get_or_insert_with(|| bytes.clone());
        Ok(bytes)
    }
}
