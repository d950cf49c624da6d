//! Every default of the proxy, each with its reason. The key table, the schema, the reference
//! in `docs/configuration.md` and the mode without a file all take them from here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{AccessLog, ReloadOn};

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
