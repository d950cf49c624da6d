//! The `firstbyte` binary as a process of its own, logging all that it can, and all that it said.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use loadtest::upstream::Upstream;

use super::fixture::{KEY, PATIENCE, scratch};

/// A running binary. Dropped, it is killed.
pub(crate) struct TalkingProgram {
    child: Child,
    addresses: [SocketAddr; 2],
    /// Its configuration file.
    pub(crate) config: PathBuf,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl TalkingProgram {
    /// Starts it in front of `upstream`, with one worker, logging all it can log.
    pub(crate) fn start(upstream: &Upstream) -> Self {
        Self::configured(upstream, "")
    }

    /// The same with more in its configuration.
    pub(crate) fn configured(upstream: &Upstream, more: &str) -> Self {
        Self::logging(upstream, "trace", more)
    }

    /// The same, logging what it usually does.
    pub(crate) fn quiet(upstream: &Upstream) -> Self {
        Self::logging(upstream, "firstbyte=info", "")
    }

    fn logging(upstream: &Upstream, level: &str, more: &str) -> Self {
        let directory = scratch();
        let ca = directory.join("ca.pem");
        let mut file = format!(
            "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\nallowed_hosts: '*'\nupstreams:\n  mock:\n    \
             url: {}\n    key: ${{CANARY}}\n    headers: {{ x-team: \"${{CANARY}}\" }}\n    query: {{ code: \"${{CANARY}}\" }}\nroutes:\n  - path: /v1\n    upstream: mock\n",
            upstream.base_url()
        );
        if upstream.url().starts_with("https") {
            upstream.write_ca(&ca).expect("the certificate can be written");
            file = file.replace("    key:", &format!("    ca_file: {}\n    key:", ca.display()));
        }
        file.push_str(more);
        let path = directory.join("firstbyte.yaml");
        std::fs::write(&path, file).expect("the configuration can be written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_firstbyte"))
            .arg("-c")
            .arg(&path)
            .env("CANARY", KEY)
            .env("RUST_LOG", level)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut said = String::new();
        let addresses = ["listening on http://", "admin on http://"]
            .map(|what| announced(&mut stderr, &mut said, what));
        let stderr = std::thread::spawn(move || {
            stderr.read_to_string(&mut said).expect("text");
            said
        });
        let mut out = child.stdout.take().expect("a pipe");
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).expect("text");
            text
        });
        Self { child, addresses, config: path, stdout: Some(stdout), stderr: Some(stderr) }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// A raw client connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream
    }

    /// A connection to the admin listener.
    pub(crate) fn connect_admin(&self) -> TcpStream {
        TcpStream::connect(self.addresses[1]).expect("it listens")
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
        kib.expect("a figure") * 1024
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// Ends it by SIGTERM and returns all that it said on stdout and stderr.
    pub(crate) fn terminate(mut self) -> (String, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        let ended = self.child.wait().expect("it ends");
        assert!(ended.success(), "{ended}");
        let said = |reader: Option<JoinHandle<String>>| {
            reader.expect("read once").join().expect("a reader does not panic")
        };
        (said(self.stdout.take()), said(self.stderr.take()))
    }
}

fn announced(lines: &mut impl BufRead, said: &mut String, what: &str) -> SocketAddr {
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).expect("text") > 0, "it ended: {said}");
        said.push_str(&line);
        if let Some((_, address)) = line.split_once(what) {
            let address = address.split_whitespace().next().unwrap_or_default();
            return address.parse().expect("an address");
        }
    }
}

impl Drop for TalkingProgram {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}
