//! File → configuration as meant, or every fault in it.

pub(super) mod no_file;
pub(super) mod reread;

use std::path::Path;

use crate::config::file::bounds::LARGEST;
use crate::config::file::env::Env;
use crate::config::file::fault::{At, Fault, Faults, Place};
use crate::config::file::yaml;
use crate::config::key::reader::Reader;
use crate::config::kind::Around;
use crate::config::root::{self, Config, ROOT};

/// Reads a configuration file. Relative paths in it are taken from its own folder.
///
/// # Errors
/// Everything that is wrong with it, each fault with its line and column.
pub fn load(path: &Path, env: &dyn Env) -> Result<Config, Faults> {
    match env.read_file(path) {
        Ok(bytes) => parse(path, &bytes, env),
        Err(error) => {
            let hint = "see docs/firstbyte.example.yaml for an example";
            Err(of_the_file(path, format!("can't be read: {error}"), hint))
        }
    }
}

/// As [`load`], from bytes; `path` is only named in faults and its folder used for relative paths.
///
/// # Errors
/// As for [`load`].
pub fn parse(path: &Path, bytes: &[u8], env: &dyn Env) -> Result<Config, Faults> {
    if bytes.len() > LARGEST {
        let what = format!("is larger than {LARGEST} bytes, the limit for a configuration file");
        return Err(of_the_file(path, what, "check that it is the right file"));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut reader = Reader::new(path.display().to_string(), Around::new(env, folder), &ROOT);
    let mut config = None;
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let mut flaws = Vec::new();
            let root = yaml::parse(text, &mut flaws);
            if root.is_none() && flaws.is_empty() {
                let hint = "it needs at least `upstreams` and `routes`".to_owned();
                flaws.push((At { line: 1, column: 1 }, "the file is empty".into(), hint));
            }
            reader.flaws(flaws);
            config = root.and_then(|root| root::config(&mut reader, &root));
        }
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let hint = "save the file as UTF-8";
            reader.fault(
                end_of(&String::from_utf8_lossy(good)),
                "",
                "is not valid UTF-8 from here on",
                hint,
            );
        }
    }
    if let Some(config) = &mut config {
        config.warnings = reader.take_warnings();
    }
    Faults::or(reader.into_faults(), config)
}

fn of_the_file(path: &Path, what: String, hint: &str) -> Faults {
    let place = Place::File(path.display().to_string());
    Faults::one(Fault { place, key: String::new(), what, hint: hint.into() })
}

/// The place just after a text.
fn end_of(text: &str) -> At {
    let last_line = text.rsplit('\n').next().unwrap_or_default();
    At { line: 1 + text.matches('\n').count(), column: 1 + last_line.chars().count() }
}
