//! Who asks: the clients of the configuration, found by their keys or certificates.
//!
//! `caller`: one of them. `spending`: what its requests came to. `charge`: what one request took, settled at its end.
//! `clock`: by what limits go. `shown`: what pages tell of them.

mod caller;
mod charge;
mod clock;
mod directory;
mod shown;
mod spending;

pub use caller::Caller;
pub use charge::{Charge, ModelTold, Seen, Settled};
pub use directory::Directory;
pub use spending::{Cells, Spending};
