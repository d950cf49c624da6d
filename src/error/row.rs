//! One line of the table, and how the table becomes an enum.

use super::{Blame, Side};

/// What there is to say of one kind of failure.
pub(super) struct Row {
    pub(super) side: Side,
    pub(super) blame: Blame,
    /// Sent, or logged where it is too late to send one.
    pub(super) status: u16,
    /// The JSON's `code`, the log's `error`: stable and `snake_case`.
    pub(super) code: &'static str,
    /// Proxy error type, one of those registered (RFC 9209, section 2.3).
    pub(super) proxy_status: &'static str,
    /// What failed, where, and what to do: a sentence for anyone's eyes.
    pub(super) message: &'static str,
}

/// An enum whose variants each bring their [`Row`], so that a kind and all that is said of it stand in one
/// place, and one without a row does not compile. A variant may carry a value; its row may name it.
macro_rules! kinds {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $( $(#[$doc:meta])* $kind:ident $(($value:ident: $of:ty))? => $row:expr, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $name {
            $( $(#[$doc])* $kind $(($of))?, )+
        }

        impl $name {
            pub(super) fn row(self) -> Row {
                match self {
                    $( Self::$kind $(($value))? => $row, )+
                }
            }
        }
    };
}

pub(super) use kinds;
