//! `redis.url`: where the server is.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::refuse;
use crate::config::file::fault::Complaint;
use crate::config::kind::{Around, Kind};
use crate::config::upstream::url::host_and_port;

/// The port that Redis and Valkey have by default.
const PORT: u16 = 6379;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisAddress {
    /// By name or address.
    Tcp {
        /// Without brackets or port.
        host: String,
        /// TCP port.
        port: u16,
        /// With TLS.
        tls: bool,
    },
    /// On this machine.
    Unix(PathBuf),
}

impl std::fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port, tls } => {
                let scheme = if *tls { "rediss" } else { "redis" };
                let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
                write!(f, "{scheme}://{open}{host}{close}:{port}")
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `redis://HOST[:PORT]`, `rediss://HOST[:PORT]` or `unix:/SOCKET`.
pub(super) struct RedisUrl;

impl Kind for RedisUrl {
    type Value = Option<RedisAddress>;

    /// Nothing of it is ever quoted: others' URLs have a password in them.
    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<RedisAddress>, Complaint> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') || path.contains('?') {
                return refuse("has no absolute path after `unix:`", "write unix:/run/redis.sock");
            }
            return Ok(Some(RedisAddress::Unix(path.into())));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let tls = match &*scheme.to_ascii_lowercase() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            "" => return refuse("has no scheme", "write redis://HOST:PORT, or rediss:// for TLS"),
            _ => {
                return refuse("has an unknown scheme", "write `redis://`, `rediss://` or `unix:`");
            }
        };
        if rest.contains('@') {
            let hint = "write them under `username:` and `password:`";
            return refuse("has a user name or password", hint);
        }
        let authority = match rest.split_once('/') {
            None | Some((_, "")) => rest.trim_end_matches('/'),
            Some(_) => return refuse("has a path", "write the database under `database:`"),
        };
        let (host, port) = host_and_port(authority)
            .map_err(|complaint| Complaint::about_a_secret(complaint.what, complaint.hint))?;
        let port = match port {
            None => PORT,
            Some(port) => match port.parse() {
                Ok(port) if port != 0 => port,
                _ => return refuse("has a port that is not a number from 1 to 65535", ""),
            },
        };
        Ok(Some(RedisAddress::Tcp { host: host.to_owned(), port, tls }))
    }

    fn absent(&self) -> Option<RedisAddress> {
        None
    }

    fn name(&self) -> String {
        "`redis://HOST:PORT`, `rediss://HOST:PORT`, `unix:/SOCKET`".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^(redis|valkey)s?://[^/?#@]+/?$|^unix:/[^?#@]+$|\\$\\{" })
    }
}
