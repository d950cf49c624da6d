//! A pool for as long as some configuration has it.

use std::ops::Deref;
use std::rc::Rc;

use super::pool::Pool;

/// A pool that requests may ask. Clones share it; with the last one it closes, and its connections end
/// with what they carry. Connections and leases hold the pool itself, and do not keep it open.
#[derive(Clone)]
pub struct Held(Rc<Holder>);

struct Holder(Rc<Pool>);

impl Held {
    /// Holds a pool that nobody holds yet.
    pub fn new(pool: Rc<Pool>) -> Self {
        Self(Rc::new(Holder(pool)))
    }
}

impl Deref for Held {
    type Target = Rc<Pool>;

    fn deref(&self) -> &Rc<Pool> {
        &self.0.0
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.close();
    }
}
