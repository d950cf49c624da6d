//! A pool for as long as some configuration has it.

use std::cell::OnceCell;
use std::ops::Deref;
use std::rc::Rc;

use super::Pool;

/// A pool that requests may ask. Clones share it; with the last one it closes, and its connections end
/// with what they carry. Connections and leases hold the pool itself, and do not keep it open.
#[derive(Clone)]
pub struct PoolHandle(Rc<CloseOnDrop>);

struct CloseOnDrop {
    pool: Rc<Pool>,
    /// Connections kept apart for requests that may cost one, once there was such a request.
    apart: OnceCell<Rc<Pool>>,
}

impl PoolHandle {
    /// Holds a pool that nobody holds yet.
    pub fn new(pool: Rc<Pool>) -> Self {
        Self(Rc::new(CloseOnDrop { pool, apart: OnceCell::new() }))
    }

    /// Where a request goes. One that may cost the connection that it is on is `risky`, and shares with its
    /// like alone.
    pub fn pool_for(&self, risky: bool) -> &Rc<Pool> {
        let CloseOnDrop { pool, apart } = &*self.0;
        if risky && pool.shares_connections() { apart.get_or_init(|| pool.apart()) } else { pool }
    }
}

impl Deref for PoolHandle {
    type Target = Rc<Pool>;

    fn deref(&self) -> &Rc<Pool> {
        &self.0.pool
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.pool.close();
        if let Some(apart) = self.apart.get() {
            apart.close();
        }
    }
}
