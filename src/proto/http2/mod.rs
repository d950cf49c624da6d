//! HTTP/2 as frames: what each says by its first nine bytes, and how many of those that carry no request a
//! peer may send. hyper and h2 do the rest.

mod heads;
mod tally;
mod watched;

pub use heads::{PREFACE, go_away};
pub use tally::Tally;
pub use watched::Watched;
