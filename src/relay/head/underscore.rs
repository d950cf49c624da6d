//! Names with underscores. A server that hands headers on as variables (CGI and its kin) makes
//! `HTTP_CONTENT_LENGTH` of `Content_Length` and of `Content-Length`: what was decided by the one, and
//! what only we may say, the other could contradict. nginx drops such names too.

/// How many header lines were not forwarded for their names' underscores. Beside a request in its
/// extensions, where there were any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withheld(pub u64);
