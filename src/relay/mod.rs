//! Heads and bodies on their way between the two sides.
//!
//! In the order of a request: `head` cleans and injects, `upload` sends the body up, `exchange`
//! waits for the answer's head, `replay` decides whether to try again, `download` brings the body down and
//! shows it to the `observers`, `body` is its face toward whoever writes it to the client (hyper for HTTP/2, `accept` for HTTP/1.1),
//! and `drive` keeps a download going while that one does not ask for it.

mod body;
mod bounds;
mod deadline;
mod download;
pub mod drive;
mod exchange;
pub mod head;
mod in_flight;
pub mod observers;
pub mod replay;
mod request_body;
mod upload;

pub use body::RelayBody;
pub use bounds::Bounds;
pub use deadline::Deadline;
pub(crate) use download::outcome;
pub use download::{Download, DownloadParts, OwnSource, Pump, PumpParts, RequestRest, Source};
pub use exchange::{Answer, Attempt, Clocks, exchange};
pub use in_flight::TrackedBytes;
pub use request_body::RequestBody;
pub use upload::{Peek, Upload, UploadLimits};
