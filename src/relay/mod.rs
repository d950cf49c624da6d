//! Heads and bodies on their way between the two sides.
//!
//! In the order of a request: `head` cleans and injects, `upload` sends the body up, `exchange`
//! waits for the answer's head, `replay` decides whether to try again, `flow` brings the body down,
//! `body` is its face toward whoever writes it to the client (hyper for HTTP/2, `accept` for HTTP/1.1),
//! and `attend` keeps a flow going while that one does not ask for it.

pub mod attend;
mod body;
mod bounds;
mod deadline;
mod exchange;
mod flow;
pub mod head;
mod pace;
mod piece;
pub mod replay;
mod request_body;
pub mod tail;
mod upload;

pub use body::RelayBody;
pub use bounds::Bounds;
pub use deadline::Deadline;
pub use exchange::{Answer, Attempt, Clocks, exchange};
pub use flow::Flow;
pub(crate) use flow::outcome;
pub use piece::Piece;
pub use request_body::RequestBody;
pub use upload::Upload;
