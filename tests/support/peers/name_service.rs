//! A name service of a test's own: a DNS server that says what it is told to, and the program in a mount
//! namespace where the system's resolver asks that server and no other. Needs root and Linux.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::fixture::scratch;
use crate::support::program::{Program, program};

/// What the server says of every name.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    Addresses(Vec<IpAddr>),
    /// `NXDOMAIN`
    NoSuchName,
    /// `SERVFAIL`
    Failure,
    /// Nothing: the question runs into its timeout.
    Nothing,
}

/// A running server. Dropped, it ends.
pub(crate) struct NameService {
    address: Ipv4Addr,
    says: Arc<Mutex<Says>>,
    asked: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameService {
    /// `None`, said loudly, where a test may not have namespaces or port 53.
    pub(crate) fn start(says: Says) -> Option<Self> {
        let allowed = Command::new("unshare").args(["-m", "true"]).stderr(Stdio::null()).status();
        let bound = allowed.is_ok_and(|status| status.success()).then(bind).flatten();
        let Some((address, socket)) = bound else {
            let _ = writeln!(
                io::stderr(),
                "\n!! SKIPPED: no mount namespace or no port 53 (root?), so changing names were NOT tested"
            );
            return None;
        };
        let wake = Duration::from_millis(20);
        socket.set_read_timeout(Some(wake)).expect("a timeout can be set");
        let (says, asked) = (Arc::new(Mutex::new(says)), Arc::new(AtomicU64::new(0)));
        let ended = Arc::new(AtomicBool::new(false));
        let theirs = (Arc::clone(&says), Arc::clone(&asked), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            let mut query = [0; 512];
            while !theirs.2.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut query) else { continue };
                theirs.1.fetch_add(1, Ordering::Relaxed);
                let says = theirs.0.lock().expect("no panic").clone();
                if let Some(answer) = answer(&query[..len], &says) {
                    // The asker may be gone.
                    let _sent = socket.send_to(&answer, from);
                }
            }
        });
        Some(Self { address, says, asked, ended, thread: Some(thread) })
    }

    /// Says something else from now on.
    pub(crate) fn say(&self, says: Says) {
        *self.says.lock().expect("no panic") = says;
    }

    /// Questions so far.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// The program with this configuration, asking this server.
    pub(crate) fn program(&self, config: &str) -> Program {
        let file = scratch().join("firstbyte.yaml");
        fs::write(&file, config).expect("the file can be written");
        self.program_of(&file)
    }

    /// The same with a configuration that the test may write again.
    pub(crate) fn program_of(&self, config: &Path) -> Program {
        let directory = scratch();
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).expect("the file can be written");
            path
        };
        let resolv = format!("nameserver {}\noptions timeout:1 attempts:1\n", self.address);
        let files = [
            ("/etc/hosts", write("hosts", "127.0.0.1 localhost\n")),
            ("/etc/nsswitch.conf", write("nsswitch.conf", "hosts: files dns\n")),
            ("/etc/resolv.conf", write("resolv.conf", &resolv)),
        ];
        let mut script = String::from("set -e\n");
        for (there, here) in files.iter().filter(|(there, _)| Path::new(there).exists()) {
            script.extend(["mount --bind '", &here.display().to_string(), "' ", there, "\n"]);
        }
        script += "exec \"$@\"\n";
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script, "sh"]);
        let binary = program();
        for (name, _removed) in binary.get_envs() {
            command.env_remove(name);
        }
        command.arg(binary.get_program()).arg("-c").arg(config).stdin(Stdio::null());
        Program::spawn(&mut command)
    }
}

impl Drop for NameService {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// Port 53 of some loopback address: no two tests share one.
fn bind() -> Option<(Ipv4Addr, UdpSocket)> {
    (1..=250).find_map(|last| {
        let address = Ipv4Addr::new(127, 53, 53, last);
        UdpSocket::bind((address, 53)).ok().map(|socket| (address, socket))
    })
}

/// The answer to a query of one question (RFC 1035, section 4.1).
fn answer(query: &[u8], says: &Says) -> Option<Vec<u8>> {
    const HEAD: usize = 12;
    let name_end = HEAD + query.get(HEAD..)?.iter().position(|byte| *byte == 0)? + 1;
    let question = query.get(HEAD..name_end + 4)?;
    let wants_v6 = query.get(name_end..name_end + 2)? == [0, 28];
    let (code, addresses) = match says {
        Says::Addresses(addresses) => (0, addresses.as_slice()),
        Says::NoSuchName => (3, &[][..]),
        Says::Failure => (2, &[][..]),
        Says::Nothing => return None,
    };
    let fitting: Vec<_> = addresses.iter().filter(|one| one.is_ipv6() == wants_v6).collect();
    let mut answer = query.get(..2)?.to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, fitting.len() as u8, 0, 0, 0, 0]);
    answer.extend(question);
    for address in fitting {
        let bytes = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        // The question's name, its type, IN, a TTL of one second.
        answer.extend([0xc0, 12, 0, if wants_v6 { 28 } else { 1 }, 0, 1, 0, 0, 0, 1]);
        answer.extend([0, bytes.len() as u8]);
        answer.extend(bytes);
    }
    Some(answer)
}
