//! How large a promise is put to the test: as large as a shared machine bears in a debug build, or,
//! where `FIRSTBYTE_FULL` is set, as large and as strict as it was given. That wants a release build
//! and a machine of one's own.

use std::future::Future;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Whether all of it is asked for.
pub(crate) fn is_full() -> bool {
    std::env::var_os("FIRSTBYTE_FULL").is_some()
}

/// One of the two sizes.
pub(crate) fn size(shared: usize, full: usize) -> usize {
    if is_full() { full } else { shared }
}

/// A bound in time: what was promised, or what no noise of a shared machine reaches.
pub(crate) fn bound(shared: Duration, full: Duration) -> Duration {
    if is_full() { full } else { shared }
}

/// Runs a client's side to its end, for as long as a promise may last.
pub(crate) fn block_on<F: Future>(client: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let hour = Duration::from_secs(3600);
    runtime.block_on(async { tokio::time::timeout(hour, client).await.expect("it does not hang") })
}

/// Thousands of sockets of both ends are this process's; a child inherits it.
pub(crate) fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("it may be raised");
}

/// The smallest value that so many of a hundred do not exceed.
pub(crate) fn quantile(values: &mut [Duration], percent: usize) -> Duration {
    values.sort_unstable();
    let at = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(at).copied().expect("at least one value")
}
