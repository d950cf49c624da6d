//! When an upstream is left out of its groups, and for how long.

use std::time::Duration;

/// What ejects one upstream from the choice of one worker. Plays a part only where a group leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthPolicy {
    /// Failures in a row that eject; 0 for never.
    pub consecutive_failures: u32,
    /// Failures of a hundred requests within the window that eject; 0 for never.
    pub failure_percent: u32,
    /// First bytes so much later than the peers' that they eject, in per cent of the peers' median, at
    /// nine of ten answers; 0 for never.
    pub slow_percent: u32,
    /// Requests within the window before a share or a slowness counts.
    pub requests: u32,
    /// How far back shares and first bytes are looked at.
    pub window: Duration,
    /// Out for so long; doubled with each relapse.
    pub eject: Duration,
    /// Out for so long at most; well for so long, relapses are forgiven.
    pub longest_eject: Duration,
}
