//! Pure pieces that know no request and no socket: a bound that adapts, back-off, sliding windows, budgets, token buckets, rates,
//! lingering, the calendar, percent-encoding.

pub mod adaptive;
pub mod backoff;
pub mod budget;
pub mod calendar;
pub mod gcra;
pub mod lingering;
pub mod percent;
pub mod telling;
pub mod token_bucket;
pub mod window;
