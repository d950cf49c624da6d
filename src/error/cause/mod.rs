//! Why an upstream failed a request: one word for machines, one sentence for people.
//!
//! A [`Kind`](super::Kind) says what the client is told and who is to blame; a cause says what happened. Each
//! 502 and 504 has one. It stands in the access log (`cause`), in `Proxy-Status` (`details`), as a label of
//! `firstbyte_upstream_failures_total`, and on stderr.

mod http2;
mod table;
mod tls;

pub use table::Cause;
pub use tls::Distrust;

/// What there is to say of one cause.
pub(super) struct CauseRow {
    /// Stable and `snake_case`.
    pub(super) word: &'static str,
    /// Proxy error type, one of those registered (RFC 9209, section 2.3).
    pub(super) proxy_status: &'static str,
    /// Whether the same request may succeed later though nobody changes anything.
    pub(super) heals: bool,
    /// What happened, where, and what to do: a sentence for anyone's eyes.
    pub(super) message: &'static str,
}

impl Cause {
    /// The word for the log, `Proxy-Status` and the metric's label.
    pub fn word(self) -> &'static str {
        self.row().word
    }

    /// Proxy error type (RFC 9209, section 2.3).
    pub fn proxy_status(self) -> &'static str {
        self.row().proxy_status
    }

    /// Whether the same request may succeed later though nobody changes anything. Where it can't, the SDKs are
    /// told not to retry.
    pub fn heals(self) -> bool {
        self.row().heals
    }

    /// What happened, and what to do: fit for anyone's eyes.
    pub fn message(self) -> &'static str {
        self.row().message
    }
}

/// An enum whose variants each bring their row: the word, RFC 9209's error type, whether it heals, and the
/// sentence. One without a row does not compile.
macro_rules! causes {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $( $(#[$doc:meta])* $cause:ident = $word:literal, $proxy_status:ident, $heals:ident, $message:literal; )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis enum $name {
            $( $(#[$doc])* $cause, )+
        }

        impl $name {
            /// In the table's order.
            pub const ALL: [$name; [$($word),+].len()] = [$($name::$cause),+];

            pub(super) fn row(self) -> $crate::error::cause::CauseRow {
                match self {
                    $( Self::$cause => $crate::error::cause::CauseRow {
                        word: $word,
                        proxy_status: stringify!($proxy_status),
                        heals: $crate::error::cause::outlook!($heals),
                        message: $message,
                    }, )+
                }
            }
        }
    };
}

/// The table's word for [`CauseRow::heals`].
macro_rules! outlook {
    (heals) => {
        true
    };
    (lasts) => {
        false
    };
}

use {causes, outlook};
