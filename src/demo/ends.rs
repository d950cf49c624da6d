//! The two ends of the demo: the upstream, and the proxy in front of it.

use std::env::VarError;
use std::error::Error;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loadtest::client::{Protocol, Target as Peer, TargetError};
use loadtest::upstream::Upstream;

use super::upstream;
use crate::cli::Demo;
use crate::config::{AccessLog, Config, Env, Resume, Route, STREAMS_PATH, Target, from_env};
use crate::runtime::{self, Running};

/// Two handshakes on loopback take milliseconds; ten seconds are for a machine that swaps.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Streams that are kept for who tries that: a demo knows no clients.
const KEPT: Resume = Resume {
    bytes: 1 << 20,
    ttl: Duration::from_secs(300),
    detached: Duration::from_secs(120),
    streams: 64,
    anonymous: true,
};

/// Both ends, running. Dropped, both stop at once and their threads are joined.
pub(super) struct Ends {
    // Dropped first, so that the proxy does not see its upstream go.
    proxy: Running,
    upstream: Upstream,
}

impl Ends {
    /// Starts both and waits until the proxy's connections are warm.
    pub(super) fn start(wanted: &Demo) -> Result<Self, Box<dyn Error>> {
        let upstream = upstream::start(wanted)
            .map_err(|error| format!("the mock upstream cannot start: {error}"))?;
        let authority = Authority::write(&upstream).map_err(|error| {
            let folder = std::env::temp_dir();
            format!("cannot write a certificate in {}: {error}", folder.display())
        })?;
        let proxy = runtime::start(config(&upstream, &authority.file)?)?;
        // It was read at the start; so nothing is left behind even if the demo is killed.
        drop(authority);
        if !proxy.wait_ready(READY_WITHIN) {
            return Err("the proxy could not connect to the mock upstream in time".into());
        }
        Ok(Self { proxy, upstream })
    }

    /// Where clients of the proxy connect.
    pub(super) fn proxy_url(&self) -> String {
        self.proxy.addresses().first().map(url).unwrap_or_default()
    }

    /// Where the page is.
    pub(super) fn page_url(&self) -> String {
        format!("{}{}", self.proxy_url(), upstream::PAGE_PATH)
    }

    /// Where `/stats` answers.
    pub(super) fn admin_url(&self) -> String {
        self.proxy.admin().as_ref().map(url).unwrap_or_default()
    }

    /// Where the upstream answers whoever asks it directly.
    pub(super) fn upstream_url(&self) -> String {
        self.upstream.url()
    }

    /// The upstream, as the proxy reaches it: TLS and HTTP/2.
    pub(super) fn direct(&self) -> Result<Peer, TargetError> {
        let target = Peer::trusting(&self.upstream.url(), self.upstream.ca_pem())?;
        Ok(target.speaking(Protocol::Http2))
    }

    /// The proxy, as most clients reach it: HTTP/1.1 in clear.
    pub(super) fn through(&self) -> Result<Peer, TargetError> {
        Peer::new(&self.proxy_url())
    }
}

fn url(address: &SocketAddr) -> String {
    format!("http://{address}")
}

fn config(mock: &Upstream, ca_file: &Path) -> Result<Config, Box<dyn Error>> {
    let mut config = from_env(&Variables { base_url: mock.base_url() })?;
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    config.listen = vec![free.into()];
    config.admin = Some(free);
    // One request at a time: a second worker would only warm connections.
    config.workers = NonZeroUsize::MIN;
    // There are descriptors for that many anywhere.
    config.limits.connections = 128;
    // Whoever reads along may drop the network and come back.
    config.routes[0].resume = Some(KEPT);
    config.routes.push(Route::new(STREAMS_PATH, Target::Streams));
    // The page in which to read along comes from the upstream too, so that to the proxy it is no foreign one.
    let target = config.routes[0].target;
    config.routes.push(Route::new(upstream::PAGE_PATH, target));
    // It would drown what is shown.
    config.access_log = AccessLog::Off;
    for upstream in &mut config.upstreams {
        "mock".clone_into(&mut upstream.name);
        upstream.ca_file = Some(ca_file.to_owned());
    }
    Ok(config)
}

/// The environment of a demo: a key that no one checks, and nothing of the operator's.
struct Variables {
    base_url: String,
}

impl Env for Variables {
    fn var(&self, name: &str) -> Result<String, VarError> {
        match name {
            "OPENAI_API_KEY" => Ok("sk-demo".to_owned()),
            "OPENAI_BASE_URL" => Ok(self.base_url.clone()),
            _ => Err(VarError::NotPresent),
        }
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }
}

/// The upstream's authority as a file, which is how the proxy is told whom to trust. Dropped, the
/// file and its directory are gone.
struct Authority {
    directory: PathBuf,
    file: PathBuf,
}

impl Authority {
    fn write(upstream: &Upstream) -> io::Result<Self> {
        let directory = std::env::temp_dir().join(format!(
            "firstbyte-demo-{}-{}",
            std::process::id(),
            upstream.addr().port()
        ));
        // Fails where something of that name is there already: nobody's link is followed.
        DirBuilder::new().mode(0o700).create(&directory)?;
        let authority = Self { file: directory.join("ca.pem"), directory };
        upstream.write_ca(&authority.file)?;
        Ok(authority)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // What cannot be removed is a certificate in a temporary directory.
        let _removed = fs::remove_dir_all(&self.directory);
    }
}
