//! Where a listener is: an IP address and port, or the path of a Unix socket.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config::file::fault::Complaint;
use crate::config::kind::{Around, Kind};

/// What begins the address of a Unix socket.
const UNIX: &str = "unix:";

/// Of a path: what the kernel takes (`sun_path`, 108 bytes with its end), less what a name beside it needs while
/// the socket is made.
const LONGEST: usize = 90;

/// Where a listener is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// Port 0 asks the kernel for a free one.
    Ip(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Of a TCP listener.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// As [`Display`](fmt::Display) writes it.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(UNIX) {
            Some(path) => Some(Self::Unix(path.into())),
            None => text.parse().ok().map(Self::Ip),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// Where clients connect if nothing is written. Loopback: a proxy that holds a key must not be reachable from
/// elsewhere unless asked.
pub(super) const fn default() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)
}

/// IP address and port of a listener.
pub(in crate::config) struct Address {
    pub(in crate::config) default: SocketAddr,
}

impl Address {
    /// Where clients connect.
    pub(in crate::config) const DEFAULT: Self = Self { default: default() };
}

impl Kind for Address {
    type Value = SocketAddr;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<SocketAddr, Complaint> {
        text.parse().map_err(|_| {
            let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
            let likely = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.unwrap_or(8080));
            let hint = if text.starts_with([':', '*']) {
                let all = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), likely.port());
                format!("write {all} to listen on all interfaces, {likely} for this machine only")
            } else {
                format!("write it like {likely}")
            };
            Complaint::new("is not an IP address with a port", hint)
        })
    }

    fn absent(&self) -> SocketAddr {
        self.default
    }

    fn name(&self) -> String {
        "address".into()
    }

    fn default_text(&self) -> Option<String> {
        Some(self.default.to_string())
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": ":[0-9]+$|\\$\\{" })
    }
}

/// A [`ListenAddress`]; `None` stands in for a faulty one.
pub(super) struct Place;

impl Kind for Place {
    type Value = Option<ListenAddress>;

    fn read(&self, text: &str, around: &Around<'_>) -> Result<Self::Value, Complaint> {
        let Some(path) = text.strip_prefix(UNIX) else {
            return Address::DEFAULT
                .read(text, around)
                .map(|address| Some(ListenAddress::Ip(address)));
        };
        let path = around.folder.join(path.strip_prefix("//").unwrap_or(path));
        if path.file_name().is_none() || text == UNIX {
            return Err(Complaint::new("has no path", "write it like unix:/run/firstbyte.sock"));
        }
        // What is written there comes back out of a message between two processes.
        if !is_plain(&path) {
            let what = format!("is longer than {LONGEST} bytes, or no plain text");
            return Err(Complaint::new(what, "choose a shorter path"));
        }
        Ok(Some(ListenAddress::Unix(path)))
    }

    fn absent(&self) -> Self::Value {
        None
    }

    fn name(&self) -> String {
        "address, `unix:PATH`".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": ":[0-9]+$|^unix:|\\$\\{" })
    }
}

fn is_plain(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.len() <= LONGEST && path.to_str().is_some_and(|text| !text.chars().any(char::is_control))
}
