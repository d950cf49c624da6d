//! `upstreams.NAME.redirects`.

use crate::config::key::Key;
use crate::config::kind::scalar::Choice;

pub(super) static REDIRECTS: Key<Choice<Redirects>> = Key::new(
    "redirects",
    Choice {
        of: &[("rewrite", Redirects::Rewrite), ("pass", Redirects::Pass)],
        // A client that follows one to the upstream itself leaves the proxy, or cannot reach it.
        default: Redirects::Rewrite,
    },
    "`location` headers of responses. `rewrite`: one that leads into a configured upstream becomes \
     a path of the route that leads there. `pass`: they stay as they are.",
);

/// What becomes of a `location` that leads into an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// It becomes the client's way there.
    Rewrite,
    /// Nothing.
    Pass,
}
