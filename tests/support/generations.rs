//! The program and those that take over from it, as processes: what all of them say goes to one file.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::fixture::{PATIENCE, scratch};
use super::program::program;

/// All that came of one start. Dropped, each that still runs is killed.
pub(crate) struct Generations {
    first: Child,
    pub(crate) folder: PathBuf,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
}

impl Generations {
    /// Starts the first with this configuration and waits until it is ready.
    pub(crate) fn start(text: &str) -> Self {
        let folder = scratch();
        fs::write(folder.join("firstbyte.yaml"), text).expect("a file");
        let mut command = program();
        command.arg("-c").arg(folder.join("firstbyte.yaml"));
        Self::of(command, folder)
    }

    /// The same by a command of the caller's.
    pub(crate) fn of(mut command: Command, folder: PathBuf) -> Self {
        let said = File::create(folder.join("said")).expect("a file");
        let child = command.stdout(Stdio::null()).stderr(said).spawn().expect("it starts");
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut all = Self { first: child, folder, address: nowhere, admin: nowhere };
        all.wait_said("admin on http://");
        let tls = all.said().contains("listening on https://");
        let listening = if tls { "listening on https://" } else { "listening on http://" };
        (all.address, all.admin) = (all.named(listening), all.named("admin on http://"));
        all.wait_until("the first is ready", |all| all.page("/readyz").starts_with("HTTP/1.1 200"));
        all
    }

    fn named(&self, before: &str) -> SocketAddr {
        let said = self.said();
        let (_, after) = said.split_once(before).expect("it is named");
        after.split_whitespace().next().and_then(|text| text.parse().ok()).expect("an address")
    }

    /// What all of them said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.join("said")).expect("text")
    }

    pub(crate) fn wait_said(&self, what: &str) {
        self.wait_until(what, |all| all.said().contains(what));
    }

    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}:\n{}", self.said());
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// An admin page with its head; of whichever process takes the connection.
    pub(crate) fn page(&self, path: &str) -> String {
        let mut answer = String::new();
        let Ok(mut stream) = TcpStream::connect(self.admin) else { return answer };
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        // Cut where its process leaves: whoever waits asks again.
        let _cut =
            stream.write_all(head.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
        answer
    }

    pub(crate) fn write_config(&self, text: &str) {
        fs::write(self.folder.join("firstbyte.yaml"), text).expect("a file");
    }

    /// Those that took over, in order.
    pub(crate) fn successors(&self) -> Vec<Pid> {
        let said = self.said();
        let ids = said.split("taken over the listeners process=").skip(1);
        let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
        ids.filter_map(|text| Pid::from_raw(number(text)?)).collect()
    }

    /// The process that serves now.
    pub(crate) fn latest(&self) -> Pid {
        self.successors().last().copied().unwrap_or_else(|| Pid::from_child(&self.first))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.latest(), signal).expect("it runs");
    }

    /// To the first, whoever serves now.
    pub(crate) fn first_signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.first), signal).expect("it runs");
    }

    /// Has the program taken over by another one.
    pub(crate) fn upgrade(&self) {
        let before = self.successors().len();
        self.signal(Signal::USR2);
        self.wait_until("it is taken over", |all| all.successors().len() > before);
    }

    /// The status of the first, once it has ended.
    pub(crate) fn first_ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.first.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end:\n{}", self.said());
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Generations {
    fn drop(&mut self) {
        for successor in self.successors() {
            // Fails where it has ended already.
            let _killed = kill_process(successor, Signal::KILL);
        }
        let _killed = self.first.kill();
        let _reaped = self.first.wait();
    }
}

/// Whether there is such a process, ended or not.
pub(crate) fn exists(process: Pid) -> bool {
    test_kill_process(process).is_ok()
}

/// One request on a connection of its own: the whole answer, or what went wrong.
pub(crate) fn ask_anew(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// What a command is called by.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_firstbyte"))
}
