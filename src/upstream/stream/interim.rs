//! Interim responses (RFC 9110, section 15.2) before a request's final one. Whoever waits for that is given them; only
//! early hints (103) go further. A request takes so many and no more, or an upstream could go on with them for as long
//! as its head may take.

/// Interim responses that a request takes. A server that says each ten seconds that it still works (102) says
/// it as often in a quarter of an hour; 100 (Continue) and 103 (Early Hints) are said once.
pub(in crate::upstream) const MOST: u8 = 100;
