//! The outside world as the configuration sees it: variables and small files, passed in so that
//! reading a configuration is a pure function.

use std::borrow::Cow;
use std::env::VarError;
use std::io;
use std::path::Path;

use super::bounds::LONGEST_VALUE;
use super::fault::Complaint;
use super::files;

/// Where variables and files come from.
pub trait Env {
    /// The variable's value. [`VarError::NotUnicode`] holds the value: never print it.
    fn var(&self, name: &str) -> Result<String, VarError>;
    /// The file's bytes.
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// This process's own environment and file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn var(&self, name: &str) -> Result<String, VarError> {
        std::env::var(name)
    }

    /// Regular files only, 4 MiB and 5 s at most; see [`crate::config::read_file`].
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        files::read_file(path)
    }
}

/// Replaces `${NAME}` and `${NAME:-default}`; `$${` stands for `${`, any other `$` for itself.
/// A variable's value is never looked into again. Complaints quote nothing: what stands beside a
/// variable may be a secret.
pub(in crate::config) fn fill<'t>(text: &'t str, env: &dyn Env) -> Result<Cow<'t, str>, Complaint> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut filled = String::with_capacity(text.len());
    let mut missing = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            filled.push_str(literal);
            filled.push_str("${");
            rest = after;
            continue;
        }
        filled.push_str(before);
        if filled.len() > LONGEST_VALUE {
            let what = format!("is more than {LONGEST_VALUE} bytes with its variables filled in");
            return Err(Complaint::about_a_secret(
                what,
                "check that these are the right variables",
            ));
        }
        let (inside, after) = after.split_once('}').ok_or_else(|| {
            Complaint::about_a_secret("has a `${` without a `}`", "for a literal `${`, write `$${`")
        })?;
        match variable(inside, env)? {
            Some(value) => filled.push_str(&value),
            None => missing.push(inside),
        }
        rest = after;
    }
    filled.push_str(rest);
    if missing.is_empty() { Ok(Cow::Owned(filled)) } else { Err(not_set(&missing)) }
}

/// The value of what stands between `${` and `}`; `None` where it is not set.
fn variable(inside: &str, env: &dyn Env) -> Result<Option<String>, Complaint> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let well_formed = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !well_formed || default.is_some_and(|text| text.contains("${")) {
        let hint = "write `${NAME}` or `${NAME:-default}`";
        return Err(Complaint::about_a_secret("has a `${…}` that is not valid", hint));
    }
    match (env.var(name), default) {
        (Ok(value), None) => Ok(Some(value)),
        (Ok(value), Some(_)) if !value.is_empty() => Ok(Some(value)),
        (Err(VarError::NotUnicode(_)), _) => {
            let what = format!("needs the variable {name}, whose value is not UTF-8");
            Err(Complaint::about_a_secret(what, ""))
        }
        (_, Some(default)) => Ok(Some(default.to_owned())),
        (Err(VarError::NotPresent), None) => Ok(None),
    }
}

fn not_set(missing: &[&str]) -> Complaint {
    const NAMED: usize = 8;
    let first = missing.first().copied().unwrap_or_default();
    let (noun, verb) = if missing.len() == 1 { ("variable", "is") } else { ("variables", "are") };
    let named = missing.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = if missing.len() > NAMED { " and others" } else { "" };
    let what = format!("needs the {noun} {named}{more}, which {verb} not set");
    Complaint::about_a_secret(
        what,
        format!("export {first}=… first, or write `${{{first}:-default}}`"),
    )
}
