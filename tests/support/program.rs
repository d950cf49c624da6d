//! The program itself as a child process: what it says, where it listens, how it ends.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use loadtest::upstream::Upstream;
use rustix::process::{Pid, Signal, kill_process};

use super::fixture::{PATIENCE, scratch, sum_of};

/// Clock ticks a second, in which `/proc` counts: the same on every Linux that there is (`getconf CLK_TCK`).
const TICKS: u64 = 100;

/// The program with nothing of this process's environment that it would heed: of this build, or the one
/// that `FIRSTBYTE_PROGRAM` names, so that a release build can be weighed.
pub(crate) fn program() -> Command {
    let other = std::env::var_os("FIRSTBYTE_PROGRAM");
    let mut command = Command::new(other.unwrap_or(env!("CARGO_BIN_EXE_firstbyte").into()));
    for name in [
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "FIRSTBYTE_LISTEN",
        "FIRSTBYTE_ADMIN",
        "KUBERNETES_SERVICE_HOST",
        "RUST_LOG",
        "SSL_CERT_FILE",
        "HTTPS_PROXY",
        "https_proxy",
    ] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Exit code, stdout and stderr of a run that ends by itself.
pub(crate) fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        program().args(arguments).output().expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// A configuration file of one worker at ephemeral ports in front of `upstream`.
pub(crate) fn file_for(upstream: &Upstream) -> PathBuf {
    let directory = scratch();
    upstream.write_ca(directory.join("ca.pem")).expect("the certificate can be written");
    let file = directory.join("firstbyte.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: off\n\
         upstreams:\n  mock:\n    url: {}\n    ca_file: ca.pem\n\
         routes:\n  - path: /v1\n    upstream: mock\n\
         client:\n  drain: 1h\nallowed_hosts: '*'\n",
        upstream.base_url()
    );
    fs::write(&file, text).expect("the file can be written");
    file
}

/// A running proxy. Dropped, it is killed.
pub(crate) struct Program {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// What was read of it so far.
    said: String,
    /// Where clients connect, as the start lines say.
    pub(crate) address: SocketAddr,
    /// Where the admin listener is, as the start lines say.
    pub(crate) admin: SocketAddr,
}

impl Program {
    /// Starts the proxy and waits until it has named both addresses.
    pub(crate) fn start(config: &PathBuf) -> Self {
        Self::spawn(program().arg("-c").arg(config))
    }

    /// The same with so many descriptors at most.
    pub(crate) fn start_with_descriptors(most: u64, config: &PathBuf) -> Self {
        let program = program();
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={most}:{most}")).arg("--").arg(program.get_program());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Self::spawn(command.stdin(Stdio::null()).arg("-c").arg(config))
    }

    /// The same by a command that becomes the program.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let mut said = String::new();
        let mut named = |before: &str| {
            let mut line = String::new();
            while stderr.read_line(&mut line).expect("stderr is text") > 0 {
                said.push_str(&line);
                if let Some((_, after)) = line.split_once(before) {
                    let address = after.split_whitespace().next().expect("an address");
                    return address.parse().expect("an address");
                }
                line.clear();
            }
            panic!("the program ended before it said {before:?}");
        };
        let address = named("listening on http://");
        let admin = named("admin on http://");
        Self { child, stderr, said, address, admin }
    }

    /// A request whose body is announced and begun; the rest is the caller's.
    pub(crate) fn ask(&self, begun: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("the proxy listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        write!(
            stream,
            "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
             {:x}\r\n{begun}\r\n",
            begun.len()
        )
        .expect("the proxy reads");
        stream
    }

    /// The status of an admin page.
    pub(crate) fn status(&self, path: &str) -> u16 {
        let answer = self.page(path);
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    /// As [`sum_of`] of what is counted in whole numbers.
    pub(crate) fn count(&self, series: &str) -> u64 {
        sum_of(&self.page("/metrics"), series) as u64
    }

    /// `POST /reload`: its status and body.
    pub(crate) fn reload(&self) -> (u16, String) {
        let answer = self.ask_admin("POST /reload HTTP/1.1\r\nx-firstbyte-admin: 1");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status.expect("a status"), body.to_owned())
    }

    /// An admin page with its head.
    pub(crate) fn page(&self, path: &str) -> String {
        self.ask_admin(&format!("GET {path} HTTP/1.1"))
    }

    /// The answer to a head that begins so.
    fn ask_admin(&self, begun: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).expect("the admin listener listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        write!(stream, "{begun}\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .expect("the admin listener reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the admin listener answers");
        answer
    }

    /// Waits until what is asked again and again holds.
    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
            std::thread::yield_now();
        }
    }

    /// A raw client connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the proxy listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("nodelay can be set");
        stream
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The CPU time that all its threads have used.
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("the program runs");
        // After the name in parentheses, which may hold anything: proc(5), fields 14 and 15.
        let fields = stat.rsplit_once(')').expect("a name").1.split_whitespace().skip(11);
        let ticks: u64 = fields.take(2).map(|ticks| ticks.parse::<u64>().expect("ticks")).sum();
        Duration::from_millis(ticks * 1000 / TICKS)
    }

    /// The most memory that it ever had resident, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the program runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kib.expect("a number of KiB") * 1024
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the program runs");
    }

    /// Waits for its end; the status, and what it said on stderr since the start.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "the program does not end");
            std::thread::park_timeout(Duration::from_millis(5));
        };
        let mut said = std::mem::take(&mut self.said);
        self.stderr.read_to_string(&mut said).expect("stderr is text");
        (status, said)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A child that is killed when a test fails half-way.
pub(crate) struct Guarded(pub(crate) Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}
