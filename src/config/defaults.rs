//! Every default of the proxy, each with its reason. The key table, the schema, the reference
//! in `docs/configuration.md` and the mode without a file all take them from here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{AccessLog, ReloadOn, Retry};

const MINUTE: u64 = 60;

/// Loopback: a proxy that holds a key must not be reachable from elsewhere unless asked.
pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Loopback, and the port that Prometheus users expect.
pub const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);
/// Data belongs on stdout, logs on stderr; `firstbyte > access.jsonl` does what it says.
pub const ACCESS_LOG: AccessLog = AccessLog::Stdout;
/// RFC 9110, section 7.6.3: a proxy must send `Via`.
pub const VIA: bool = true;
/// A file that is being edited is not meant yet: whoever changes it says when it is.
pub const RELOAD: ReloadOn = ReloadOn::Demand;
/// Ten connects that time out one after the other, and some; a process that is not ready by then
/// waits for an upstream that does not answer, and the one that runs is better.
pub const UPGRADE_TIMEOUT: Duration = Duration::from_secs(MINUTE);
/// The address of the API when `OPENAI_BASE_URL` is not set, in the SDKs' form.
pub const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// All alike unless told otherwise.
pub const WEIGHT: u32 = 1;
/// All in the one tier unless told otherwise.
pub const TIER: u32 = 0;
/// The two statuses by which an upstream says that it did not do it (RFC 6585, section 4; RFC 9110,
/// section 15.6.4). Any other may come from a request that was processed, and billed.
pub const FAILOVER_ON: &[u16] = &[429, 503];

/// None: the SDKs retry by themselves, and two who do so multiply.
pub const RETRY_TIMES: u32 = 0;
/// Half of the SDKs' first pause, since full jitter halves it again.
pub const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// Under the SDKs' longest pause of 8 s: what must wait longer is better told to them.
pub const RETRY_LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// As Finagle's: a fifth more load is what an upstream in trouble can be expected to bear.
pub const RETRY_BUDGET: u32 = 20;

/// None: whoever loses may be billed.
pub const HEDGE_QUANTILE: u32 = 0;
/// Under it a second request costs more than a person can feel it to save.
pub const HEDGE_FLOOR: Duration = Duration::from_millis(100);
/// For so long people wait before they turn to something else (Miller, 1968; Nielsen, 1993).
pub const HEDGE_CEILING: Duration = Duration::from_secs(10);
/// What the 95th percentile costs ("The Tail at Scale", Dean and Barroso, 2013), and no more when all
/// are slow.
pub const HEDGE_BUDGET: u32 = 5;

impl Default for Retry {
    fn default() -> Self {
        Self {
            times: RETRY_TIMES,
            pause: RETRY_PAUSE,
            longest_pause: RETRY_LONGEST_PAUSE,
            budget: RETRY_BUDGET,
        }
    }
}
