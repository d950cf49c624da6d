//! The kinds of value that a key can have: how one is read, what it is by default, how it is described.

pub(in crate::config) mod by_name;
pub(in crate::config) mod header;
pub(in crate::config) mod many;
pub(in crate::config) mod optional;
pub(in crate::config) mod path;
pub(in crate::config) mod pem;
pub(in crate::config) mod quantity;
pub(in crate::config) mod scalar;
pub(in crate::config) mod secret;
mod units;

use std::cell::RefCell;
use std::path::Path;

use serde_json::Value;

use crate::config::file::env::Env;
use crate::config::file::fault::Complaint;

/// What a value may be read against.
pub(in crate::config) struct Around<'a> {
    /// Variables and files.
    pub(in crate::config) env: &'a dyn Env,
    /// The folder from which relative paths are taken: the configuration file's own.
    pub(in crate::config) folder: &'a Path,
    /// What is to be said of the value though it can be used.
    remarks: RefCell<Vec<Complaint>>,
}

impl<'a> Around<'a> {
    pub(in crate::config) fn new(env: &'a dyn Env, folder: &'a Path) -> Self {
        Self { env, folder, remarks: RefCell::default() }
    }

    /// Says something of a value that can be used: a warning, told with the value's place.
    pub(in crate::config) fn remark(&self, remark: Complaint) {
        self.remarks.borrow_mut().push(remark);
    }

    /// What was said since this was last called.
    pub(in crate::config) fn take_remarks(&self) -> Vec<Complaint> {
        self.remarks.take()
    }
}

/// A kind of value: how it is read, what it is by default, how it is described.
pub(in crate::config) trait Kind: Sync {
    /// What it becomes.
    type Value;
    /// Reads a scalar, after `${…}` was filled in.
    fn read(&self, text: &str, around: &Around<'_>) -> Result<Self::Value, Complaint>;
    /// The value of a key that is not written. Of a required key: any, it is never used.
    fn absent(&self) -> Self::Value;
    /// The kind's name in the reference.
    fn name(&self) -> String;
    /// The default in the reference; `None` where there is none.
    fn default_text(&self) -> Option<String>;
    /// The JSON Schema of one value, without its default and description.
    fn schema(&self) -> Value;
}
