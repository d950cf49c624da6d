//! When named events are tidied up: a task of the first worker, for all of them.

use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use crate::accept::Acceptor;
use crate::proxy::Proxy;

/// How late a name may expire, or a subscription end whose client's key has.
const PAUSE: Duration = Duration::from_secs(5);

/// Begins for the proxy that is in force, where it has any. The task ends when another one is.
pub(in crate::runtime) fn begin(acceptor: &Rc<Acceptor>, worker: usize) {
    let proxy = acceptor.proxy();
    if worker == 0 && proxy.events.all().next().is_some() {
        tokio::task::spawn_local(tidy(Rc::clone(acceptor), Rc::downgrade(&proxy)));
    }
}

async fn tidy(acceptor: Rc<Acceptor>, proxy: Weak<Proxy>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let in_force = acceptor.proxy();
        if !std::ptr::eq(Weak::as_ptr(&proxy), Rc::as_ptr(&in_force)) {
            return;
        }
        in_force.tidy_events(Instant::now());
    }
}
