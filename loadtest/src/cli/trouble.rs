//! Why a run has no report.

use super::Exit;

/// Why there is no report.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The arguments do not fit.
    Usage(String),
    /// The run could not be done.
    Broken(String),
}

impl Trouble {
    /// A usage error about `what`.
    pub(super) fn usage(what: &str, why: &impl ToString) -> Self {
        Self::Usage(format!("{what}: {}", why.to_string()))
    }

    /// A run that broke.
    pub(super) fn broken(why: &impl ToString) -> Self {
        Self::Broken(why.to_string())
    }

    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Broken(_) => Exit::Broken,
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Usage(why) | Self::Broken(why)) = self;
        f.write_str(why)
    }
}
