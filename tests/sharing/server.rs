//! A real `redis-server` or `valkey-server` on a port of its own, which can be paused, killed and begun again with nothing
//! in it. Unit tests of the room `sharing` use this file too.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Long enough for a start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server. Dropped, it is killed.
pub(crate) struct Redis {
    program: PathBuf,
    /// Its configuration file.
    settings: String,
    /// Where one of a cluster keeps what it knows of it.
    nodes: PathBuf,
    /// Where others of a cluster talk to it.
    bus: u16,
    tls: bool,
    child: Child,
    /// Where it listens in clear; with TLS, where it listens with TLS.
    pub(crate) address: SocketAddr,
    password: Option<String>,
}

impl Redis {
    /// Starts `program` with these arguments beside those that make it leave nothing behind. In pairs, as in its
    /// configuration: `["requirepass", "x"]`.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Self {
        let (port, mut bus) = (free_port(), 0);
        let tls = arguments.contains(&"tls-cert-file");
        let (clear, secret) = if tls { (0, port) } else { (port, 0) };
        let mut settings =
            format!("port {clear}\nbind 127.0.0.1\nsave \"\"\nappendonly no\nloglevel warning\n");
        if tls {
            let _ = write!(settings, "tls-port {secret}\ntls-auth-clients optional\n");
        }
        let nodes = std::env::temp_dir().join(format!("firstbyte-nodes-{port}.conf"));
        if arguments.contains(&"cluster-enabled") {
            // By default it is the port and ten thousand, which some ports leave no room for.
            bus = free_port();
            let _ = writeln!(settings, "cluster-config-file {}", nodes.display());
            let _ = writeln!(settings, "cluster-port {bus}");
        }
        for pair in arguments.chunks(2) {
            let _ = writeln!(settings, "{}", pair.join(" "));
        }
        let password = arguments.windows(2).find(|two| two[0] == "requirepass");
        let password = password.map(|two| two[1].to_owned());
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let child = spawn(program, &settings);
        let this = Self {
            program: program.to_owned(),
            settings,
            nodes,
            bus,
            tls,
            child,
            address,
            password,
        };
        this.wait();
        this
    }

    /// The same server anew, and nothing of what it knew.
    pub(crate) fn restart_empty(&mut self) {
        self.kill();
        self.child = spawn(&self.program, &self.settings);
        self.wait();
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }

    /// It answers nothing until it goes on; its connections stay.
    pub(crate) fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).expect("it runs");
    }

    pub(crate) fn go_on(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("it runs");
    }

    /// What it answers to a command: elements of a list one after the other, with spaces between them.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        self.try_command(words).expect("redis answers")
    }

    /// Makes one cluster of both.
    pub(crate) fn meet(&self, other: &Self) {
        let (host, port) = (other.address.ip().to_string(), other.address.port().to_string());
        let met = self.command(&["CLUSTER", "MEET", &host, &port, &other.bus.to_string()]);
        assert_eq!(met, "OK");
    }

    /// How many commands of these names it has run since its start.
    pub(crate) fn count(&self, names: &[&str]) -> u64 {
        let all = self.command(&["INFO", "commandstats"]);
        let of = |name: &&str| {
            let line =
                all.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
            line.and_then(|line| line.split(',').next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        names.iter().map(of).sum()
    }

    /// How many clients are connected, this question's included.
    pub(crate) fn connections(&self) -> usize {
        self.command(&["CLIENT", "LIST"]).lines().filter(|line| !line.trim().is_empty()).count()
    }

    fn wait(&self) {
        let begun = Instant::now();
        let there = || {
            if self.tls {
                return TcpStream::connect(self.address).is_ok();
            }
            self.try_command(&["PING"]).is_some_and(|answer| answer == "PONG")
        };
        while !there() {
            assert!(begun.elapsed() < PATIENCE, "redis does not start");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn try_command(&self, words: &[&str]) -> Option<String> {
        let stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut stream = BufReader::new(stream);
        if let Some(password) = &self.password {
            send(&mut stream, &["AUTH", password])?;
        }
        send(&mut stream, words)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let _unless_in_a_cluster = std::fs::remove_file(&self.nodes);
    }
}

fn free_port() -> u16 {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
    port.expect("a free port").port()
}

/// Its configuration comes by its stdin.
fn spawn(program: &Path, settings: &str) -> Child {
    let mut command = Command::new(program);
    command.arg("-").current_dir(std::env::temp_dir());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the server can be run");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(settings.as_bytes()).expect("it reads its configuration");
    child
}

/// In RESP2.
fn send(stream: &mut BufReader<TcpStream>, words: &[&str]) -> Option<String> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        let _ = write!(text, "${}\r\n{word}\r\n", word.len());
    }
    stream.get_mut().write_all(text.as_bytes()).ok()?;
    receive(stream)
}

fn receive(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1)?;
    match kind {
        "$" if rest != "-1" => {
            let mut bytes = vec![0; rest.parse::<usize>().ok()? + 2];
            stream.read_exact(&mut bytes).ok()?;
            bytes.truncate(bytes.len() - 2);
            String::from_utf8(bytes).ok()
        }
        "*" if rest != "-1" => {
            let all: Option<Vec<_>> = (0..rest.parse().ok()?).map(|_| receive(stream)).collect();
            Some(all?.join(" "))
        }
        "$" | "*" => Some(String::new()),
        "-" => Some(format!("-{rest}")),
        _ => Some(rest.to_owned()),
    }
}
