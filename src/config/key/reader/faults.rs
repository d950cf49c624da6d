//! What is wrong with the keys and values of a file, as it is found.

use super::{Fields, Reader};
use crate::config::file::bounds::MOST_FAULTS;
use crate::config::file::fault::{At, Complaint, Fault, Place, nearest};
use crate::config::file::yaml::Flaw;
use crate::config::key::reference::rows;
use crate::config::key::{Entry, IGNORED, Row, Section};

impl Reader<'_> {
    /// Those that were kept, and if there are more, how many.
    pub(in crate::config) fn into_faults(mut self) -> Vec<Fault> {
        if self.count > self.faults.len() {
            let what = format!("has {} errors; the first {MOST_FAULTS} are shown", self.count);
            let place = Place::File(self.file);
            self.faults.push(Fault { place, key: String::new(), what, hint: String::new() });
        }
        self.faults
    }

    /// How many faults there are, so that one fault does not lead to a second about the same.
    pub(in crate::config) fn count(&self) -> usize {
        self.count
    }

    /// Counts one more fault; false if no more are kept. To be asked where a way out costs something to
    /// find.
    pub(super) fn counts(&mut self) -> bool {
        self.count += 1;
        self.faults.len() < MOST_FAULTS
    }

    /// Notes a fault at a place.
    pub(in crate::config) fn fault(
        &mut self,
        at: At,
        key: impl Into<String>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        if self.counts() {
            self.keep(at, key, what, hint);
        }
    }

    /// Notes a fault in one of a section's keys, at its value, or at the section where it is not written.
    pub(in crate::config) fn fault_in(
        &mut self,
        fields: &Fields<'_>,
        key: &dyn Entry,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.fault(fields.at(key.name()), fields.path_of(key.name()), what, hint);
    }

    /// As [`Reader::fault`] where the way out costs something to find.
    pub(in crate::config) fn fault_with(
        &mut self,
        at: At,
        key: impl Into<String>,
        what: impl Into<String>,
        hint: impl FnOnce() -> String,
    ) {
        if self.counts() {
            self.keep(at, key, what, hint());
        }
    }

    pub(super) fn keep(
        &mut self,
        at: At,
        key: impl Into<String>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let place = Place::In(self.file.clone(), at);
        self.faults.push(Fault { place, key: key.into(), what: what.into(), hint: hint.into() });
    }

    /// Notes what can be used, and is likely not meant. An anchored value is read at each of its aliases,
    /// and warned of once.
    pub(in crate::config) fn warn(
        &mut self,
        at: At,
        key: impl Into<String>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let place = Place::In(self.file.clone(), at);
        let warning = Fault { place, key: key.into(), what: what.into(), hint: hint.into() };
        if self.warnings.len() < MOST_FAULTS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// What was warned of, in the order of the file.
    pub(in crate::config) fn take_warnings(&mut self) -> Vec<Fault> {
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.sort_by(|a, b| a.place.cmp(&b.place));
        warnings
    }

    /// Notes what was wrong with the text itself.
    pub(in crate::config) fn flaws(&mut self, flaws: Vec<Flaw>) {
        for (at, what, hint) in flaws {
            self.fault(at, "", what, hint);
        }
    }

    /// Quotes the value as written, never as filled in: a variable may hold a secret.
    pub(super) fn complain(&mut self, at: At, path: &str, text: &str, complaint: Complaint) {
        let Complaint { what, hint, quotable } = complaint;
        let subject = if quotable { quoted(text) } else { "the value".to_owned() };
        let what = format!("{subject} {what}");
        self.fault(at, path, what, hint);
    }
}

/// A value in quotes; of a long one the beginning.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let beginning: String = text.chars().take(LONGEST).collect();
    let rest = if beginning.len() < text.len() { "…" } else { "" };
    format!("{beginning:?}{rest}")
}

pub(super) fn names(section: &Section) -> Vec<&'static str> {
    section.entries.iter().map(|entry| entry.name()).collect()
}

/// What to say to an unknown key: the nearest here, the place where it belongs, all that are known.
pub(super) fn instead_of(unknown: &str, section: &Section, root: &Section) -> String {
    let known = names(section);
    let list = known.join(", ");
    if let Some(likely) = nearest(unknown, known) {
        return format!("did you mean `{likely}`? Keys allowed here: {list}");
    }
    if unknown.starts_with(IGNORED) {
        return format!(
            "sections named `{IGNORED}…` can stand at the top level only; move it there"
        );
    }
    let rows = rows(root);
    let of_that_name = |row: &&Row| row.path.rsplit('.').next() == Some(unknown);
    match rows.iter().find(of_that_name) {
        Some(row) => format!("it belongs at `{}`. Keys allowed here: {list}", row.path),
        None => format!("keys allowed here: {list}"),
    }
}
