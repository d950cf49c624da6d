//! Who asks: the clients of the configuration, found by their keys or certificates.
//!
//! `known`: whose key a connection brought last. `caller`: one of them. `spending`: what its requests came to. `charge`: what one request took, settled at its end.
//! `clock`: by what limits go. `shown`: what pages tell of them.

mod caller;
mod charge;
mod clock;
mod directory;
mod known;
mod shown;
mod spending;

pub use caller::Caller;
pub use charge::{Charge, ModelTold, Seen, Settled};
pub use directory::Directory;
pub use known::KnownKey;
pub use spending::{Cells, Spending};
