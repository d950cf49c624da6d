//! A proxy in front of a scripted upstream, on ephemeral ports, in this process.

use std::env::VarError;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use firstbyte::config::{AccessLog, Allowed, Config, Env, ProcessEnv, from_env, read};
use firstbyte::handover::Inherited;
use firstbyte::runtime::{self, Origin, Running};
use loadtest::upstream::{Builder, Upstream};

/// Long enough for anything that happens at all on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The key that the proxy sends upstream.
pub(crate) const KEY: &str = "sk-ours-canary-0123456789";

/// A proxy with one worker in front of one upstream.
pub(crate) struct Fixture {
    /// The scripted upstream.
    pub(crate) upstream: Upstream,
    /// The proxy.
    pub(crate) proxy: Running,
    directory: PathBuf,
}

struct Variables {
    base_url: String,
}

impl Env for Variables {
    fn var(&self, name: &str) -> Result<String, VarError> {
        match name {
            "OPENAI_API_KEY" => Ok(KEY.to_owned()),
            "OPENAI_BASE_URL" => Ok(self.base_url.clone()),
            _ => Err(VarError::NotPresent),
        }
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
}

impl Fixture {
    /// Starts both ends and waits until the proxy is ready.
    pub(crate) fn start(upstream: Builder) -> Self {
        Self::configured(upstream, |_| {})
    }

    /// The same with changes to the proxy's configuration.
    pub(crate) fn configured(upstream: Builder, change: impl FnOnce(&mut Config)) -> Self {
        let fixture = Self::unready(upstream, change);
        assert!(fixture.proxy.wait_ready(PATIENCE), "the proxy does not become ready");
        fixture
    }

    /// A proxy with this configuration file, ready or not.
    pub(crate) fn of_file(upstream: Upstream, text: &str) -> Self {
        let directory = scratch();
        let file = directory.join("firstbyte.yaml");
        std::fs::write(&file, text).expect("the file can be written");
        let read = read(&file, &ProcessEnv).unwrap_or_else(|faults| panic!("{faults}"));
        let proxy = runtime::start_from(Origin::File(Box::new(read)), Inherited::default())
            .expect("the proxy starts");
        Self { upstream, proxy, directory }
    }

    /// Writes a file beside the configuration, or the configuration itself: `firstbyte.yaml`.
    pub(crate) fn write_file(&self, name: &str, text: &str) {
        std::fs::write(self.directory.join(name), text).expect("the file can be written");
    }

    /// The same without waiting for readiness.
    pub(crate) fn unready(upstream: Builder, change: impl FnOnce(&mut Config)) -> Self {
        let upstream = upstream.start().expect("the mock upstream starts");
        let directory = scratch();
        let mut config = config(&upstream, &directory);
        change(&mut config);
        let proxy = runtime::start(config).expect("the proxy starts");
        Self { upstream, proxy, directory }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.addresses()[0]
    }

    /// Where SDKs are pointed.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address())
    }

    /// A raw client connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).expect("the proxy listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("nodelay can be set");
        stream
    }

    /// A page of the admin listener: its status and body.
    pub(crate) fn admin(&self, path: &str) -> (u16, String) {
        self.ask_admin("GET", path)
    }

    /// The same by any method.
    pub(crate) fn ask_admin(&self, method: &str, path: &str) -> (u16, String) {
        let address = self.proxy.admin().expect("the admin listener is on");
        let mut stream = TcpStream::connect(address).expect("the admin listener listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let meant = "host: localhost\r\nx-firstbyte-admin: 1\r\nconnection: close";
        write!(stream, "{method} {path} HTTP/1.1\r\n{meant}\r\n\r\n")
            .expect("the admin listener reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the admin listener answers");
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, body.to_owned())
    }

    /// The sum of all series of this name that have these labels, written as `/metrics` writes them; zero if
    /// there is none.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        sum_of(&self.admin("/metrics").1, series)
    }

    /// The same of what is counted in whole numbers.
    pub(crate) fn count(&self, series: &str) -> u64 {
        self.metric(series) as u64
    }

    /// Waits until `what` holds, looking again each time something may have happened.
    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begun = std::time::Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
            std::thread::yield_now();
        }
    }

    /// The same while a client's runtime goes on.
    pub(crate) async fn wait_until_async(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begun = std::time::Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
            tokio::task::yield_now().await;
        }
    }

    /// Where its access log is.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.directory.join("access.jsonl")
    }

    /// Ends the proxy and returns a file that it wrote.
    pub(crate) fn ended_with_log(self, log: &Path) -> String {
        drop(self.proxy);
        std::fs::read_to_string(log).expect("a log")
    }

    /// Ends the proxy and returns its access log.
    pub(crate) fn access_log(self) -> Vec<serde_json::Value> {
        let Self { upstream, proxy, directory } = self;
        drop(proxy);
        drop(upstream);
        let log = std::fs::read_to_string(directory.join("access.jsonl")).expect("a log");
        log.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }
}

/// What a page of metrics says of all series of a name that have these labels: `name{label="value"}`. Panics where
/// the page knows no such metric: one that was renamed is not 0.
pub(crate) fn sum_of(page: &str, series: &str) -> f64 {
    fn parts(series: &str) -> (&str, Vec<&str>) {
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.trim_end_matches('}').split("\",").map(|one| one.trim_end_matches('"'));
        (name, labels.filter(|one| !one.is_empty()).collect())
    }
    let (name, wanted) = parts(series);
    let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
    let is_known = |name: &str| page.contains(&format!("# TYPE {name} "));
    assert!(is_known(name) || family.is_some_and(is_known), "no metric {name}:\n{page}");
    let values = page.lines().filter_map(|line| {
        let (one, value) = line.rsplit_once(' ')?;
        let (its_name, labels) = parts(one);
        let fits = its_name == name && wanted.iter().all(|label| labels.contains(label));
        if fits { value.parse::<f64>().ok() } else { None }
    });
    values.sum()
}

/// The configuration of a proxy without a file, at ephemeral ports and with one worker.
pub(crate) fn config(upstream: &Upstream, directory: &Path) -> Config {
    let mut config =
        from_env(&Variables { base_url: upstream.base_url() }).expect("a configuration");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    config.listen = vec![any.into()];
    config.admin = Some(any);
    // Tests ask by any name that comes to mind; those of `web_pages` are about names.
    config.allowed_hosts = Allowed { any: true, names: Vec::new() };
    config.workers = NonZeroUsize::MIN;
    config.access_log = AccessLog::File(directory.join("access.jsonl"));
    if upstream.url().starts_with("https") {
        let file = directory.join("ca.pem");
        upstream.write_ca(&file).expect("the certificate can be written");
        config.upstreams[0].ca_file = Some(file);
    }
    config
}

/// A directory of this test's own below cargo's for tests.
pub(crate) fn scratch() -> PathBuf {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&directory).expect("a scratch directory");
    directory
}

/// A port that is free on every address, for a program that has to be told one. Another may be quicker.
pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind("0.0.0.0:0").expect("a port");
    free.local_addr().expect("an address").port()
}
