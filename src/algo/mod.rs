//! Pure pieces that know no request and no socket: back-off, Base64, sliding windows, budgets, token buckets,
//! lingering.

pub mod backoff;
pub mod base64;
pub mod budget;
pub mod lingering;
pub mod telling;
pub mod token_bucket;
pub mod window;
